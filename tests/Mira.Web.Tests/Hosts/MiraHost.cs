using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Mira.Client;

namespace Mira.Web.Tests.Hosts;

/// <summary>
/// The real host in this process, on a free loopback port, with a store of its own: real HTTP, and a clock and a log
/// that a test can hold.
/// </summary>
internal sealed class MiraHost : IAsyncDisposable
{
    private readonly TestFolder? _ownFolder;
    private readonly Factory _factory;
    private readonly List<HttpClient> _clients = [];

    private MiraHost(TestFolder folder, TestFolder? ownFolder, Factory factory, FakeTimeProvider? clock)
    {
        Folder = folder;
        _ownFolder = ownFolder;
        _factory = factory;
        Clock = clock;
        Address = factory.ClientOptions.BaseAddress;
        Admin = folder.Admin;
    }

    public TestFolder Folder { get; }

    public Uri Address { get; }

    /// <summary>The token of the first admin key.</summary>
    public string Admin { get; }

    /// <summary>The host's clock, when the test holds it.</summary>
    public FakeTimeProvider? Clock { get; }

    public IServiceProvider Services => _factory.Services;

    /// <summary>What the host logged so far, as its console formatter would have got it.</summary>
    public string Log => _factory.Log.ToString();

    /// <param name="holdClock">True for a clock that moves only when the test moves it.</param>
    /// <param name="folder">Another host's folder, to start again on it; that host must be disposed.</param>
    public static MiraHost Start(
        bool holdClock = false, TestFolder? folder = null, Action<IServiceCollection>? configure = null, params (string Name, string Value)[] settings)
    {
        var ownFolder = folder is null ? new TestFolder() : null;
        var clock = holdClock ? new FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 12, 0, 0, TimeSpan.Zero)) : null;
        var factory = new Factory(folder ?? ownFolder!, clock, configure, settings);
        try
        {
            factory.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            factory.StartServer();
            return new MiraHost(folder ?? ownFolder!, ownFolder, factory, clock);
        }
        catch
        {
            factory.Dispose();
            ownFolder?.Dispose();
            throw;
        }
    }

    /// <summary>
    /// A bare client; with a token it sends it as Bearer. Each answer has to be one that the OpenAPI document
    /// describes.
    /// </summary>
    public HttpClient Http(string? token = null)
    {
        var client = new HttpClient(new DescribedAnswersHandler()) { BaseAddress = Address };
        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        _clients.Add(client);
        return client;
    }

    /// <summary>The typed client; without a token it is the first admin's.</summary>
    public MiraClient Client(string? token = null) => new(Http(token ?? Admin));

    /// <summary>A new key's token, made by the first admin.</summary>
    public async Task<string> NewKeyAsync(string role, Action<CreateKey>? configure = null)
    {
        var body = new CreateKey { Name = $"a {role}", Role = role };
        configure?.Invoke(body);
        return (await Client().CreateKeyAsync(body)).ApiKey!;
    }

    public static string IdOf(string token) => token[..21];

    public static StringContent Json(string text, string mediaType = "application/json") => new(text, Encoding.UTF8, mediaType);

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
            client.Dispose();
        await _factory.DisposeAsync();
        _ownFolder?.Dispose();
    }

    private sealed class Factory(
        TestFolder folder, TimeProvider? clock, Action<IServiceCollection>? configure, (string Name, string Value)[] settings) : WebApplicationFactory<Program>
    {
        public LogText Log { get; } = new();

        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseSetting("MIRA_DATA_DIR", folder.Data);
            builder.UseSetting("MIRA_BOOTSTRAP_KEY_FILE", folder.AdminFile);
            builder.UseSetting("MIRA_DRAIN_SECONDS", "0");
            // Tests of other things make more calls a minute than people do.
            foreach (var limit in (string[])["VIEWER", "OPERATOR", "ADMIN", "FAILURES"])
                builder.UseSetting($"RATE_LIMIT_{limit}", "1000000");
            foreach (var (name, value) in settings)
                builder.UseSetting(name, value);
            builder.ConfigureLogging(logging => logging.AddProvider(Log));
            builder.ConfigureTestServices(services =>
            {
                if (clock is not null)
                    services.Replace(ServiceDescriptor.Singleton(clock));
                configure?.Invoke(services);
            });
        }
    }

    /// <summary>Keeps every line of the log with its exception.</summary>
    internal sealed class LogText : ILoggerProvider, ILogger
    {
        private readonly StringBuilder _text = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_text)
                _text.Append(logLevel).Append(' ').Append(formatter(state, exception)).Append(' ').Append(exception).AppendLine();
        }

        public override string ToString()
        {
            lock (_text)
                return _text.ToString();
        }

        public void Dispose()
        {
        }
    }
}
