namespace Mira.Web.Tests.Hosts;

/// <summary>A folder of one test, gone after it.</summary>
internal sealed class TestFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("mira-test-").FullName;

    public string Data => System.IO.Path.Combine(Path, "data");

    public string AdminFile => System.IO.Path.Combine(Path, "admin-key");

    public string Admin => File.ReadAllText(AdminFile).Trim();

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
