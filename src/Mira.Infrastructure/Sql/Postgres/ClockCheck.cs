using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Compares this node's clock with the database's, by which all nodes date their changes: by a wrong one keys would end
/// too early or too late.
/// </summary>
public sealed partial class ClockCheck(
    IDbContextFactory<MiraDbContext> contexts, SqlStore store, TimeProvider clock, ILogger<ClockCheck> log, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(2);

    public bool IsRight { get; private set; } = true;

    protected override IEnumerable<Loop> Loops() => [new("clock_check", Interval, LookAsync) { StartsAtOnce = true }];

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CompareAsync(cancellationToken);
        }
        catch (DbException)
        {
            // It is as right as it was; that the database is away is told by others.
        }
    }

    // The answer was made at some moment between the two, so only what lies outside of both is a difference of the
    // clocks.
    private async Task CompareAsync(CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        var asked = Clock.GetUtcNow();
        var told = await store.ReadClockAsync(database, cancellationToken);
        var answered = Clock.GetUtcNow();
        var isRight = told > asked - Tolerance && told < answered + Tolerance;
        if (isRight != IsRight)
            LogDifference(isRight ? "close to" : "off", told, answered);
        IsRight = isRight;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "This node's clock is {Relation} the database's: {Told:O} there, {Answered:O} here")]
    private partial void LogDifference(string relation, DateTimeOffset told, DateTimeOffset answered);
}
