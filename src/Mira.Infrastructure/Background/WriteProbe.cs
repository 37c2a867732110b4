using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Background;

/// <summary>
/// Writes a time every two seconds, unless something else was written meanwhile: a full disk or a foreign lock is known
/// before the next change meets it. While nobody calls and the store is this node's alone, it writes every ten seconds
/// as long as that works.
/// </summary>
/// <param name="store">Told before each attempt, when it may have been opened for reading alone.</param>
public sealed partial class WriteProbe(
    IDbContextFactory<MiraDbContext> contexts, SingleWriter gate, TimeProvider clock, ILogger<WriteProbe> log, SqlStore? store = null, LoopBoard? board = null,
    QuietTime? quiet = null)
    : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan QuietInterval = TimeSpan.FromSeconds(10);

    protected override IEnumerable<Loop> Loops() => [new("write_probe", Interval, ProbeAsync) { HasWork = IsToWrite }];

    internal bool IsToWrite() => !gate.IsWritable || gate.SinceSuccess >= (quiet is { IsNow: true } ? QuietInterval : Interval);

    private async Task ProbeAsync(CancellationToken cancellationToken)
    {
        var wasWritable = gate.IsWritable;
        try
        {
            await gate.RunAsync(() => WriteAsync(cancellationToken), cancellationToken);
            if (!wasWritable)
                LogWritable();
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException)
        {
            if (wasWritable)
                LogUnwritable(exception.InnerException?.Message ?? exception.Message);
        }
    }

    // A value that is new each time: the database does not write what is there already.
    private async Task<int> WriteAsync(CancellationToken cancellationToken)
    {
        if (store is not null)
            await store.TakeUpWritingAsync(cancellationToken);
        var now = Clock.GetUtcNow().ToUnixTimeMilliseconds();
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        return await database.Database.ExecuteSqlAsync(
            $"INSERT INTO probe (id, at) VALUES ({StoreProbe.OnlyId}, {now}) ON CONFLICT (id) DO UPDATE SET at = excluded.at", cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Changes cannot be recorded: {Cause}")]
    private partial void LogUnwritable(string cause);

    [LoggerMessage(Level = LogLevel.Information, Message = "Changes can be recorded again")]
    private partial void LogWritable();
}
