using Mira.Application.Background;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>Records a start on a store that could not be written then, once it can be.</summary>
public sealed class DelayedStartEvent(NodeStart start, SingleWriter gate, TimeProvider clock, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override IEnumerable<Loop> Loops() => [new("late_record", Timeout.InfiniteTimeSpan, RecordAsync) { StartsAtOnce = true }];

    private async Task RecordAsync(LoopRecord record, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, Clock);
        while (!(gate.IsWritable && await start.RecordLateAsync(cancellationToken)))
        {
            record.NoteSuccess();
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }
}
