using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mira.TestServers;

namespace Mira.Containers.Tests;

/// <summary>
/// The compose files as a user has them, in a folder of their own and with ports and networks that nobody else uses.
/// What is run is what is
/// shipped: nothing here is laid over the files.
/// </summary>
internal sealed class ComposeProject : IAsyncDisposable
{
    private static int _count;

    private readonly TestFolder _folder = new();
    private readonly Dictionary<string, string> _environment;

    public ComposeProject()
    {
        File.Copy(RepositoryFiles.At("docker-compose.yml"), _folder.At("docker-compose.yml"));
        Copy(RepositoryFiles.At("build"), _folder.Make("build"));
        // The third number of an address: two runs of the tests may be on one machine.
        var third = (Environment.ProcessId + (Interlocked.Increment(ref _count) * 17)) % 200;
        _environment = new()
        {
            ["COMPOSE_PROJECT_NAME"] = $"mira-test-{Guid.NewGuid():N}"[..20],
            ["MIRA_TAG"] = "test",
            ["MIRA_PORT"] = $"{Port}",
            ["MIRA_PUBLIC_BIND"] = "127.0.0.1",
            ["MIRA_HTTP_PORT"] = $"{FreePort.Find()}",
            ["MIRA_HTTPS_PORT"] = $"{HttpsPort}",
            ["PROMETHEUS_PORT"] = $"{PrometheusPort}",
            ["GRAFANA_PORT"] = $"{FreePort.Find()}",
            ["REDIS_COMMANDER_PORT"] = $"{CommanderPort}",
            ["MIRA_SUBNET"] = $"10.214.{third}.0/24",
            ["MIRA_SUBNET_DYNAMIC"] = $"10.214.{third}.128/25",
            ["MIRA_PROXY_ADDRESS"] = $"10.214.{third}.10",
            ["MIRA_BALANCER_ADDRESS"] = $"10.214.{third}.11",
        };
    }

    public int Port { get; } = FreePort.Find();

    public int HttpsPort { get; } = FreePort.Find();

    public int PrometheusPort { get; } = FreePort.Find();

    public int CommanderPort { get; } = FreePort.Find();

    public string Name => _environment["COMPOSE_PROJECT_NAME"];

    /// <summary>The files in front of each command, like those of the cluster.</summary>
    public string[] Files { get; set; } = [];

    /// <summary>A secret that build/env.sh has made.</summary>
    public string Secret(string name) => File.ReadLines(At(".env")).Single(
        line => line.StartsWith($"{name}=", StringComparison.Ordinal))[(name.Length + 1)..];

    public string At(params string[] path) => _folder.At(path);

    public async Task<string> ComposeAsync(params string[] arguments)
    {
        var (exitCode, output) = await TryComposeAsync(arguments);
        if (exitCode != 0)
            output += (await TryComposeAsync("logs", "--no-color", "--tail", "40")).Output;
        Assert.That(exitCode, Is.Zero, $"docker-compose {string.Join(' ', arguments)}: {output}");
        return output;
    }

    public Task<(int ExitCode, string Output)> TryComposeAsync(params string[] arguments) =>
        IsThere("docker-compose")
            ? RunAsync("docker-compose", [.. Files.SelectMany(file => (string[])["-f", file]), .. arguments])
            : RunAsync("docker", ["compose", .. Files.SelectMany(file => (string[])["-f", file]), .. arguments]);

    /// <summary>
    /// Runs a command in the folder, with the ports of this project, and without what this process has of its own.
    /// </summary>
    public Task<(int ExitCode, string Output)> RunAsync(string command, params string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments) { WorkingDirectory = _folder.Root };
        foreach (var name in start.Environment.Keys.Except(["PATH", "HOME", "DOCKER_HOST", "TMPDIR"]).ToList())
            start.Environment.Remove(name);
        foreach (var (name, value) in _environment)
            start.Environment[name] = value;
        return Shell.RunAsync(start);
    }

    /// <summary>The id of the only container of a service.</summary>
    public async Task<string> ContainerAsync(string service) => (await ContainersAsync(service)).Single();

    public async Task<string[]> ContainersAsync(string service) =>
        (await ComposeAsync("ps", "-q", service)).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public async Task<string> FirstAdminAsync() =>
        (await ComposeAsync("exec", "-T", "mira", "cat", "/data/first-admin")).Trim();

    /// <summary>A client of the port that a service publishes without TLS.</summary>
    public static HttpClient Http(int port, string? token = null) =>
        Client(new SocketsHttpHandler(), new Uri($"http://127.0.0.1:{port}"), token);

    /// <summary>A client of nginx that trusts its certificate alone.</summary>
    public HttpClient Https(string? token = null)
    {
        var trust = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
        };
        trust.CustomTrustStore.Add(
            X509CertificateLoader.LoadCertificateFromFile(At("build", "compose", "tls", "tls.crt")));
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = trust },
        };
        return Client(handler, new Uri($"https://localhost:{HttpsPort}"), token);
    }

    /// <summary>Asks until the service answers as it should; a container has a moment to come up.</summary>
    public static async Task UntilAsync(Func<Task<bool>> holds, string what, int seconds = 120)
    {
        var end = Stopwatch.StartNew();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            try
            {
                if (await holds())
                    return;
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
            {
                // Not yet.
            }

            Assert.That(end.Elapsed.TotalSeconds, Is.LessThan(seconds), $"{what}, within {seconds} s");
            await pace.WaitForNextTickAsync();
        }
    }

    public static Task UntilReadyAsync(HttpClient client) => UntilAsync(
        async () =>
        {
            using var answer = await client.GetAsync("/health/ready");
            return answer.IsSuccessStatusCode;
        },
        "Mira is ready");

    public async ValueTask DisposeAsync()
    {
        await TryComposeAsync(
            "--profile",
            "dev",
            "--profile",
            "production",
            "--profile",
            "monitoring",
            "down",
            "--volumes",
            "--remove-orphans",
            "--timeout",
            "1");
        _folder.Dispose();
    }

    private static HttpClient Client(SocketsHttpHandler handler, Uri address, string? token)
    {
        handler.UseProxy = false;
        var client = new HttpClient(handler) { BaseAddress = address, Timeout = TimeSpan.FromSeconds(30) };
        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    private static bool IsThere(string command) =>
        Environment.GetEnvironmentVariable("PATH")!.Split(':')
            .Any(folder => File.Exists(Path.Combine(folder, command)));

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        foreach (var name in Directory.GetDirectories(from).Select(Path.GetFileName).Except(["tls", "node_modules"]))
            Copy(Path.Combine(from, name!), Directory.CreateDirectory(Path.Combine(to, name!)).FullName);
    }
}
