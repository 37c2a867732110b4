using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;

namespace Mira.Infrastructure.Background;

/// <summary>Records what was aggregated, every ten seconds and once more at the end.</summary>
public sealed partial class AggregatedEventFlush(
    AggregatedEvents gathered, IServiceScopeFactory scopes, TimeProvider clock, ILogger<AggregatedEventFlush> log, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private long _refused;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await FlushAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    protected override IEnumerable<Loop> Loops() => [new("gather_flush", Interval, _ => FlushAsync()) { HasWork = () => gathered.Waiting > 0 }];

    private async Task FlushAsync()
    {
        if (gathered.Take() is not { Count: > 0 } taken)
            return;

        var rest = await BatchWrite.RunAsync([.. taken], WriteAsync, Refuse);
        if (rest.Left.Count == 0)
            return;

        gathered.Return(rest.Left);
        LogDelayed(rest.Left.Count, rest.Cause?.InnerException?.Message);
    }

    private async Task WriteAsync(IReadOnlyList<AggregatedEvent> part)
    {
        await using var scope = scopes.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<ILedger>().ChangeAsync(
            change =>
            {
                foreach (var one in part)
                    change.Record(one.ToDraft());
                return Task.FromResult(true);
            },
            CancellationToken.None);
    }

    private void Refuse(AggregatedEvent one, Exception cause) =>
        LogRefused(cause, one.Group.Type, one.Group.Reason, one.Count, ++_refused);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "An aggregated event ({Type}, {Reason}) that stood for {Count} calls cannot be written and is given up, the others are recorded; {Refused} were given up since the start")]
    private partial void LogRefused(Exception cause, string type, string? reason, long count, long refused);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} aggregated events are not recorded yet: {Cause}")]
    private partial void LogDelayed(int count, string? cause);
}
