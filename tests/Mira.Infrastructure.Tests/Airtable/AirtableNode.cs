using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>A client as a node has it, and the stand-in it talks to.</summary>
internal sealed class AirtableNode : IAsyncDisposable
{
    public const string Table = "API Keys";

    /// <summary>Limits far from what a test does, for tests of something else.</summary>
    public const int Unlimited = 10_000;

    private readonly ServiceProvider _services;

    private AirtableNode(AirtableServer server, AirtableOptions options, TimeProvider clock)
    {
        Server = server;
        var services = new ServiceCollection();
        services.AddSingleton(clock);
        services.AddAirtableClient(options);
        _services = services.BuildServiceProvider();
    }

    public AirtableServer Server { get; }

    public AirtableClient Client => _services.GetRequiredService<AirtableClient>();

    public RequestLimiter Pace => _services.GetRequiredService<RequestLimiter>();

    public AirtableSheet Sheet => Server.Sheet(Table);

    /// <summary>With the table, and without limits worth speaking of.</summary>
    public static async Task<AirtableNode> StartAsync(Func<AirtableOptions, AirtableOptions>? change = null, AirtableServerOptions? options = null)
    {
        var node = await StartEmptyAsync(change, options ?? new AirtableServerOptions { CallsPerSecond = null });
        await TableSchema.CreateTableAsync(node.Client, CancellationToken.None);
        return node;
    }

    /// <summary>With a base that has no table.</summary>
    public static async Task<AirtableNode> StartEmptyAsync(Func<AirtableOptions, AirtableOptions>? change = null, AirtableServerOptions? options = null)
    {
        var server = await AirtableServer.StartAsync(options ?? new AirtableServerOptions { CallsPerSecond = null });
        return Beside(server, change);
    }

    /// <summary>One more client of the same base.</summary>
    public static AirtableNode Beside(AirtableServer server, Func<AirtableOptions, AirtableOptions>? change = null, TimeProvider? clock = null)
    {
        var options = new AirtableOptions(server.Token, server.BaseId, Table, server.Url)
        {
            CallsPerSecond = Unlimited,
            Second = TimeSpan.FromMilliseconds(1),
            LockOut = TimeSpan.FromMilliseconds(200),
            ChangePatience = new AirtableTimeouts(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(4)),
            BackgroundPatience = new AirtableTimeouts(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(8)),
            RetryDelay = TimeSpan.FromMilliseconds(5),
            BreakDuration = TimeSpan.FromMilliseconds(500),
        };
        return new AirtableNode(server, change?.Invoke(options) ?? options, clock ?? TimeProvider.System);
    }

    public static JsonObject Row(string keyId, string name = "A key") => new()
    {
        [TableSchema.KeyId] = keyId,
        [TableSchema.Name] = name,
        [TableSchema.Role] = "viewer",
        [TableSchema.Status] = TableSchema.Active,
        [TableSchema.Version] = 1,
    };

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await Server.DisposeAsync();
    }
}
