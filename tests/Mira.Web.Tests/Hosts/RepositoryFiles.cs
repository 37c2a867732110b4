namespace Mira.Web.Tests.Hosts;

/// <summary>What is shipped beside the program, where it lies in the repository.</summary>
internal static class RepositoryFiles
{
    private static readonly string Root = Find();

    public static string Prometheus => Path.Combine(Root, "build", "prometheus");

    public static string Grafana => Path.Combine(Root, "build", "grafana");

    public static string Read(params string[] path) => File.ReadAllText(Path.Combine([Root, .. path]));

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Mira.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        return folder.FullName;
    }
}
