using Microsoft.Extensions.Hosting;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>Records a start on a store that could not be written then, once it can be.</summary>
public sealed class LateRecord(NodeStart start, WriteGate gate, TimeProvider clock) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, clock);
        while (!(gate.IsWritable && await start.RecordLateAsync(stoppingToken)))
            await timer.WaitForNextTickAsync(stoppingToken);
    }
}
