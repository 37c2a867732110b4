using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>The client with its real limits against the stand-in with the real ones, on the machine's clock.</summary>
internal sealed class AirtableLimitTests
{
    [Test]
    public async Task Many_callers_at_once_never_make_more_than_five_calls_in_any_second_and_none_is_refused()
    {
        await using var server = await AirtableServer.StartAsync();
        server.AddSheet(AirtableNode.Table, "key_id");
        await using var node = AirtableNode.Beside(server, Real);

        var calls = Enumerable.Range(0, 22).Select(number => number % 2 == 0
            ? (Task)node.Client.ListAsync(null, null, null, CancellationToken.None)
            : node.Client.UpsertAsync([new JsonObject { ["key_id"] = $"k{number}" }], CallPriority.Change, CancellationToken.None));
        await Task.WhenAll(calls);

        Assert.That(server.Calls, Has.Count.EqualTo(22));
        Assert.That(server.BusiestSecond, Is.InRange(1, 5));
        Assert.That(server.Sheet(AirtableNode.Table).Snapshot(), Has.Count.EqualTo(11));
    }

    [Test]
    public async Task Not_even_when_connections_break_and_calls_are_repeated()
    {
        await using var server = await AirtableServer.StartAsync();
        server.AddSheet(AirtableNode.Table, "key_id");
        server.Faults.Share(0.4, 7, AirtableFault.Reset, AirtableFault.ResetAfter, AirtableFault.Unavailable, AirtableFault.Slow, AirtableFault.TruncatedAfter);
        await using var node = AirtableNode.Beside(server, Real);

        await Task.WhenAll(Enumerable.Range(0, 12).Select(async _ =>
        {
            try
            {
                await node.Client.FindAsync("rec00000000000000", CallPriority.Background, CancellationToken.None);
            }
            catch (AirtableException)
            {
                // Four attempts may fail in a row; they count all the same.
            }
        }));

        Assert.That(server.Calls, Has.Count.GreaterThan(14));
        Assert.That(server.BusiestSecond, Is.InRange(1, 5));
    }

    [Test]
    public async Task The_token_and_what_cells_hold_are_in_no_log_and_no_exception()
    {
        await using var server = await AirtableServer.StartAsync(new AirtableServerOptions { CallsPerSecond = null });
        server.AddSheet(AirtableNode.Table, "key_id");
        var log = new Records();
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(log));
        services.AddSingleton(TimeProvider.System);
        services.AddAirtableClient(new AirtableOptions(server.Token, server.BaseId, AirtableNode.Table, server.Url)
        {
            CallsPerSecond = AirtableNode.Unlimited,
            LockOut = TimeSpan.FromMilliseconds(1),
            ChangePatience = new AirtableTimeouts(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(2)),
            BreakDuration = TimeSpan.FromMilliseconds(500),
        });
        await using var provider = services.BuildServiceProvider();
        var client = provider.GetRequiredService<AirtableClient>();
        const string cell = "what-only-the-cell-says";

        foreach (var fault in Enum.GetValues<AirtableFault>())
        {
            server.Faults.Clear();
            server.Faults.Always(fault);
            try
            {
                await client.UpsertAsync([new JsonObject { ["key_id"] = cell, [fault == AirtableFault.None ? cell : "key_id"] = cell }], CallPriority.Change, CancellationToken.None);
            }
            catch (AirtableException exception)
            {
                log.Texts.Enqueue(exception.ToString());
            }

            server.Unlock();
        }

        Assert.That(log.Texts, Has.Count.GreaterThan(10));
        Assert.That(log.Texts, Has.None.Contains(server.Token).And.None.Contains(cell));
    }

    private static AirtableOptions Real(AirtableOptions given)
    {
        var real = new AirtableOptions(given.Token, given.BaseId, given.Table, given.Url);
        // The machine that runs the tests may be slow; nothing here is about patience.
        return real with
        {
            ChangePatience = new AirtableTimeouts(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(120)),
            BackgroundPatience = new AirtableTimeouts(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(120)),
        };
    }

    private sealed class Records : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Texts { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Texts.Enqueue(formatter(state, exception) + exception);

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public void Dispose()
        {
        }
    }
}
