using System.Text.RegularExpressions;
using Mira.TestServers;

namespace Mira.Web.Tests.Edge;

/// <summary>A real proxy with the configuration of the guide, in which only addresses are changed.</summary>
internal static partial class GuidedProxy
{
    private const string Guide = "guide.md";

    public static Task<ProxyServer> StartAsync(string kind, int mira, int application) => kind switch
    {
        "nginx" => ProxyServer.StartNginxAsync(Read("nginx", mira, application, ("listen 80;", "listen 127.0.0.1:{port};"))),
        "caddy" => ProxyServer.StartCaddyAsync(Read("caddyfile", mira, application, (":80 {", "http://:{port} {"))),
        "haproxy" => ProxyServer.StartHaproxyAsync(
            Read("haproxy", mira, application, ("bind :80", "bind 127.0.0.1:{port}"), ("/etc/haproxy/", "{folder}/")), Read("lua", mira, application)),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private static string Read(string language, int mira, int application, params (string Published, string Here)[] changes)
    {
        var text = Block().Matches(RepositoryFiles.Read("docs", Guide)).Single(block => block.Groups["language"].Value == language).Groups["text"].Value;
        (string Published, string Here)[] addresses = language == "haproxy"
            ? [("127.0.0.1:8080", $"127.0.0.1:{application}")]
            : language == "lua" ? [("127.0.0.1:5000", $"127.0.0.1:{mira}")] : [("127.0.0.1:5000", $"127.0.0.1:{mira}"), ("127.0.0.1:8080", $"127.0.0.1:{application}")];
        foreach (var (published, here) in addresses.Concat(changes))
        {
            Assert.That(text, Does.Contain(published), $"the guide's {language}");
            text = text.Replace(published, here, StringComparison.Ordinal);
        }

        return text;
    }

    [GeneratedRegex(@"^```(?<language>\w+)\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();
}
