using System.Reflection;

namespace Mira.Web.Hosting;

/// <summary>
/// What a start on a terminal says to the person in front of it: where things are, the first admin key, what to do
/// next, and how to stop.
/// </summary>
public static class Greeting
{
    private static readonly string Version = typeof(Greeting).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <param name="addresses">Where it listens.</param>
    /// <param name="place">Where the data lies.</param>
    /// <param name="token">The first admin key's, shown here only; null when this start made none, or wrote it to a
    /// file.</param>
    /// <param name="file">Where the first admin key was written, now or at the first start; null when it was
    /// shown.</param>
    public static string Of(IEnumerable<string> addresses, string place, string? token, string? file)
    {
        string[] shown = [.. addresses.Select(Reachable).Distinct()];
        var mira = shown.FirstOrDefault() ?? "http://localhost:5000";
        return string.Join('\n', (string[])[
            "",
            $"Mira {Version} is ready.",
            "",
            $"  Address   {string.Join("  ", shown)}",
            $"  Swagger   {mira}/swagger/",
            $"  Data      {place}",
            "  Stop      Ctrl+C",
            "",
            token is null ? "Paste these next, with an admin key:" : "Paste these next. The first line holds the first admin key, shown only this once: keep it.",
            "",
            $"ADMIN={token ?? (file is not null && File.Exists(file) ? $"$(cat {Quoted(file)})" : "mira_key_...")}",
            $"curl -s {mira}/api/auth/validate -H \"Authorization: Bearer $ADMIN\"; echo",
            $"curl -s {mira}/api/keys -H \"Authorization: Bearer $ADMIN\" -H 'Content-Type: application/json' -d '{{\"name\":\"my first key\",\"role\":\"operator\"}}'; echo",
            $"curl -s {mira}/api/audit -H \"Authorization: Bearer $ADMIN\"; echo",
            "",
            "",
        ]);
    }

    // For a shell, whatever the path holds.
    private static string Quoted(string path) => $"'{path.Replace("'", @"'\''", StringComparison.Ordinal)}'";

    // What stands for every address of the machine is none to call.
    private static string Reachable(string address)
    {
        foreach (var any in (string[])["://0.0.0.0", "://[::]", "://+", "://*"])
            address = address.Replace(any, "://localhost", StringComparison.Ordinal);
        return address.TrimEnd('/');
    }
}
