using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>
/// A start that cannot be right: it ends at once, with one line that names the setting and holds no secret.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class RefusedStartTests
{
    private const string Private = "PRIVATE KEY";
    private const string Canary = "hunter2-canary";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    [TestCase("MIRA_DRAIN_SECONDS", "-1")]
    [TestCase("MIRA_DRAIN_SECONDS", "301")]
    [TestCase("MIRA_DRAIN_SECONDS", "five " + Canary)]
    [TestCase("API_KEY_DEFAULT_EXPIRY_DAYS", "0")]
    [TestCase("API_KEY_DEFAULT_EXPIRY_DAYS", "3651")]
    [TestCase("API_KEY_DEFAULT_EXPIRY_DAYS", "90.0")]
    [TestCase("API_KEY_ROTATION_GRACE_MINUTES", "43201")]
    [TestCase("API_KEY_ROTATION_GRACE_MINUTES", "-5")]
    [TestCase("LOG_LEVEL", "LOUD" + Canary)]
    [TestCase("LOG_FORMAT", "xml" + Canary)]
    [TestCase("LOG_REQUESTS", "often" + Canary)]
    [TestCase("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317" + Canary)]
    [TestCase("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector:4317/" + Canary)]
    [TestCase("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:" + Canary + "@collector:4317")]
    [TestCase("CORS_ENABLED", "yes")]
    [TestCase("CORS_ENABLED", "1")]
    [TestCase("CORS_ORIGINS", "console.example.com")]
    [TestCase("CORS_ORIGINS", "https://a.example,https://user:" + Canary + "@b.example")]
    [TestCase("CORS_ORIGINS", "https://a.example/path")]
    [TestCase("CORS_ORIGINS", "ftp://a.example")]
    [TestCase("CORS_ORIGINS", "https://*.example.com")]
    [TestCase("MIRA_STORE", "mysql" + Canary)]
    [TestCase("MIRA_TRUSTED_PROXIES", "10.0.0.0/33")]
    [TestCase("MIRA_TRUSTED_PROXIES", "127.0.0.1,proxy" + Canary)]
    [TestCase("Mira__Verification__MaxStaleness", "0")]
    [TestCase("Mira__Verification__MaxStaleness", "-00:00:30")]
    [TestCase("Mira__Verification__MaxStaleness", "02:00:00")]
    [TestCase("Mira__Verification__MaxStaleness", "soon")]
    [TestCase("Mira__Verification__CacheSize", "99")]
    [TestCase("Mira__Verification__CacheSize", "1e6")]
    [TestCase("RATE_LIMIT_VIEWER", "0")]
    [TestCase("RATE_LIMIT_OPERATOR", "10000001")]
    [TestCase("RATE_LIMIT_ADMIN", "-1")]
    [TestCase("RATE_LIMIT_FAILURES", "many " + Canary)]
    [TestCase("RATE_LIMIT_ENABLED", "on")]
    [TestCase("Mira__ConcurrentCalls", "0")]
    [TestCase("Mira__ConcurrentCalls", "100001")]
    [TestCase("MIRA_PEPPER", Canary + " is not base64")]
    [TestCase("MIRA_PEPPER", "aHVudGVyMi1jYW5hcnk=", "aHVudGVy")]
    [TestCase("MIRA_PEPPER_FILE", "/nowhere/pepper")]
    [TestCase("MIRA_PEPPER_RETIRED", Canary)]
    [TestCase("MIRA_PEPPER_RETIRED", "aHVudGVyMi1jYW5hcnk=", "aHVudGVy")]
    [TestCase("MIRA_AUDIT_KEY", Canary)]
    [TestCase("MIRA_AUDIT_KEY", "-----BEGIN " + Private + "-----\\n" + Canary + "\\n-----END " + Private + "-----")]
    [TestCase("MIRA_AUDIT_KEY_FILE", "/nowhere/key")]
    [TestCase("MIRA_AUDIT_ANCHOR", "http://keeper.example/" + Canary)]
    [TestCase("MIRA_AUDIT_ANCHOR", "https://user:" + Canary + "@keeper.example/")]
    [TestCase("MIRA_AUDIT_ANCHOR", "ftp://keeper.example/")]
    [TestCase("MIRA_AUDIT_ANCHOR", "/nowhere/anchor")]
    [TestCase("MIRA_AUDIT_ANCHOR", "/tmp")]
    [TestCase("Mira__Audit__RetentionDays", "0")]
    [TestCase("Mira__Audit__RetentionDays", "a year")]
    [TestCase("REDIS_PORT", "0")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://user:" + Canary + "@redis:6379/one")]
    [TestCase("MIRA_DATA_DIR", "/proc/mira")]
    [TestCase("MIRA_DATA_DIR", "/dev/null")]
    [TestCase("MIRA_DATA_DIR", "/dev/null/mira")]
    [TestCase("MIRA_BOOTSTRAP_KEY_FILE", "/nowhere/admin")]
    [TestCase("MIRA_BOOTSTRAP_KEY_FILE", "/tmp")]
    [TestCase("ASPNETCORE_URLS", "nonsense")]
    [TestCase("ASPNETCORE_URLS", "http://127.0.0.1:99999")]
    [TestCase("ASPNETCORE_URLS", "ftp://127.0.0.1:0")]
    [TestCase("ASPNETCORE_URLS", "http://192.0.2.1:8080")]
    [TestCase("ASPNETCORE_URLS", "https://127.0.0.1:0")]
    public async Task An_impossible_setting_stops_the_start(string name, string value, string secret = Canary)
    {
        using var folder = new TestFolder();
        // The SDK may have left a certificate for developers at home, with which https would be possible.
        await ExpectRefusalAsync(folder, name, secret, (name, value), ("HOME", folder.Root));
    }

    [Test]
    public async Task Two_peppers_stop_the_start()
    {
        using var folder = new TestFolder();
        var pepper = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
        var file = folder.At("pepper");
        await File.WriteAllTextAsync(file, pepper);
        await ExpectRefusalAsync(folder, "MIRA_PEPPER", pepper, ("MIRA_PEPPER", pepper), ("MIRA_PEPPER_FILE", file));
    }

    [Test]
    public async Task Two_audit_keys_stop_the_start()
    {
        using var folder = new TestFolder();
        var file = folder.At("key");
        await File.WriteAllTextAsync(file, SharedStore.AuditKeyPem);
        await ExpectRefusalAsync(
            folder, "MIRA_AUDIT_KEY", SharedStore.AuditKeyPem.Split('\n')[1], ("MIRA_AUDIT_KEY", SharedStore.AuditKeyPem), ("MIRA_AUDIT_KEY_FILE", file));
    }

    [Test]
    public async Task An_empty_pepper_file_stops_the_start()
    {
        using var folder = new TestFolder();
        var file = folder.At("pepper");
        await File.WriteAllTextAsync(file, "");
        await ExpectRefusalAsync(folder, "MIRA_PEPPER_FILE", Canary, ("MIRA_PEPPER_FILE", file));
    }

    [Test]
    public async Task A_data_folder_in_the_programs_own_stops_the_start_also_through_a_link()
    {
        using var folder = new TestFolder();
        await ExpectRefusalAsync(folder, "MIRA_DATA_DIR", Canary, ("MIRA_DATA_DIR", AppContext.BaseDirectory));
        await ExpectRefusalAsync(folder, "MIRA_DATA_DIR", Canary, ("MIRA_DATA_DIR", Path.Combine(AppContext.BaseDirectory, "deep/data")));

        var link = folder.At("link");
        Directory.CreateSymbolicLink(link, AppContext.BaseDirectory);
        await ExpectRefusalAsync(folder, "MIRA_DATA_DIR", Canary, ("MIRA_DATA_DIR", Path.Combine(link, "data")));
        Assert.That(Directory.Exists(Path.Combine(AppContext.BaseDirectory, "data")), Is.False);
    }

    [Test]
    public async Task A_taken_port_stops_the_start()
    {
        using var folder = new TestFolder();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await ExpectRefusalAsync(folder, "ASPNETCORE_URLS", Canary, ("ASPNETCORE_URLS", $"http://{listener.LocalEndpoint}"));
    }

    [Test]
    public async Task An_address_that_cannot_be_served_makes_no_admin_key_yet()
    {
        using var folder = new TestFolder();
        await ExpectRefusalAsync(folder, "ASPNETCORE_URLS", Canary, ("ASPNETCORE_URLS", "nonsense"));
        Assert.That(File.Exists(folder.AdminFile), Is.False);
    }

    private static async Task ExpectRefusalAsync(TestFolder folder, string name, string secret, params (string Name, string Value)[] settings)
    {
        var idle = Stopwatch.StartNew();
        await MiraProcess.RunAsync(folder, ["no-such-verb"]);
        // What a process costs on this machine now: a busy one is no fault of the service.
        var patience = Limit + (20 * idle.Elapsed);

        var started = Stopwatch.StartNew();
        var (exitCode, output, error) = await MiraProcess.RunAsync(folder, [], settings);
        Assert.That(exitCode, Is.Not.Zero.And.LessThan(128), output + error);
        Assert.That(started.Elapsed, Is.LessThan(patience), error);
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), error);
        Assert.That(error, Does.StartWith($"mira: {name}: "));
        Assert.That(error + output, Does.Not.Contain(secret));
        Assert.That(output, Does.Not.Contain("   at "), output);
    }
}
