using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;

namespace Mira.Infrastructure.Ledger;

/// <summary>Records what was gathered, every ten seconds and once more at the end.</summary>
public sealed partial class GatherFlush(
    GatheredEvents gathered, IServiceScopeFactory scopes, TimeProvider clock, ILogger<GatherFlush> log, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await FlushAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    protected override IEnumerable<Loop> Loops() => [new("gather_flush", Interval, _ => FlushAsync())];

    private async Task FlushAsync()
    {
        if (gathered.Take() is not { Count: > 0 } taken)
            return;

        await using var scope = scopes.CreateAsyncScope();
        try
        {
            await scope.ServiceProvider.GetRequiredService<ILedger>().ChangeAsync(
                change =>
                {
                    foreach (var one in taken)
                        change.Record(one.ToDraft());
                    return Task.FromResult(true);
                },
                CancellationToken.None);
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException)
        {
            gathered.Return(taken);
            LogDelayed(taken.Count, exception.InnerException?.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} gathered events are not recorded yet: {Cause}")]
    private partial void LogDelayed(int count, string? cause);
}
