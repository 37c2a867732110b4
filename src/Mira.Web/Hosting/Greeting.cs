using System.Reflection;
using System.Text;

namespace Mira.Web.Hosting;

/// <summary>What a start on a terminal says to the person in front of it: where things are, the first admin key, what to do next, and how to stop.</summary>
public static class Greeting
{
    private static readonly string Version = typeof(Greeting).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <param name="addresses">Where it listens.</param>
    /// <param name="place">Where the data lies.</param>
    /// <param name="token">The first admin key's, shown here only; null when this start made none, or wrote it to a file.</param>
    /// <param name="file">Where the first admin key was written, now or at the first start; null when it was shown.</param>
    public static string Of(IEnumerable<string> addresses, string place, string? token, string? file)
    {
        string[] shown = [.. addresses.Select(Reachable).Distinct()];
        var mira = shown.FirstOrDefault() ?? "http://localhost:5000";
        var text = new StringBuilder()
            .AppendLine().AppendLine($"Mira {Version} is ready.").AppendLine()
            .AppendLine($"  Address   {string.Join("  ", shown)}")
            .AppendLine($"  Swagger   {mira}/swagger/")
            .AppendLine($"  Data      {place}")
            .AppendLine("  Stop      Ctrl+C").AppendLine();
        text.AppendLine(token is null ? "Paste these next, with an admin key:" : "Paste these next. The first line holds the first admin key, shown only this once: keep it.").AppendLine();
        text.AppendLine(token is not null ? $"ADMIN={token}" : file is not null && File.Exists(file) ? $"ADMIN=$(cat '{file.Replace("'", @"'\''", StringComparison.Ordinal)}')" : "ADMIN=mira_key_...");
        return text
            .AppendLine($"curl -s {mira}/api/auth/validate -H \"Authorization: Bearer $ADMIN\"; echo")
            .AppendLine($"curl -s {mira}/api/keys -H \"Authorization: Bearer $ADMIN\" -H 'Content-Type: application/json' -d '{{\"name\":\"my first key\",\"role\":\"operator\"}}'; echo")
            .AppendLine($"curl -s {mira}/api/audit -H \"Authorization: Bearer $ADMIN\"; echo").AppendLine()
            .ToString();
    }

    // What stands for every address of the machine is none to call.
    private static string Reachable(string address)
    {
        foreach (var any in (string[])["://0.0.0.0", "://[::]", "://+", "://*"])
            address = address.Replace(any, "://localhost", StringComparison.Ordinal);
        return address.TrimEnd('/');
    }
}
