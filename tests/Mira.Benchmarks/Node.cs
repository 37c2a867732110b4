using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application;
using Mira.Application.Keys;
using Mira.Application.Pipeline;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Start;

namespace Mira.Benchmarks;

/// <summary>A node on the embedded store, without the web half.</summary>
internal sealed class Node : IAsyncDisposable
{
    private readonly string _folder;
    private readonly ServiceProvider _services;

    private Node(string folder, ServiceProvider services)
    {
        _folder = folder;
        _services = services;
    }

    public Verifier Verifier => _services.GetRequiredService<Verifier>();

    public static async Task<Node> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("mira-bench-").FullName;
        var settings = new SettingReader(name => name == DataFolder.Setting ? Path.Combine(folder, "data") : null);
        var store = await StoreChoice.TakeAsync(settings, AppContext.BaseDirectory, TimeSpan.Zero, TimeProvider.System, CancellationToken.None);
        var services = new ServiceCollection()
            .AddLogging()
            .AddSingleton(TimeProvider.System)
            .AddSingleton(KeyDefaults.Read(settings))
            .AddSingleton(KeyCacheOptions.Read(settings))
            .AddSingleton(LedgerPollerOptions.Read(settings))
            .AddScoped<ICaller, NobodyCaller>()
            .AddMiraApplication(null)
            .AddMiraInfrastructure(settings, store)
            .BuildServiceProvider();
        await services.GetRequiredService<NodeStart>().OpenAsync(CancellationToken.None);
        return new Node(folder, services);
    }

    /// <summary>A new key's token.</summary>
    public async Task<string> CreateAsync()
    {
        await using var scope = _services.CreateAsyncScope();
        var receipt = await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new CreateKey { Name = "bench", Role = "operator" });
        return receipt.Body.ApiKey!;
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class NobodyCaller : ICaller
    {
        public Actor Actor => Actor.System;

        public string? CorrelationId => null;
    }
}
