using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Background;

/// <summary>
/// Looks through the records of all keys again and again, a few at a time: what was changed outside of Mira is found
/// though nobody calls with the key, and what is to be signed anew (records from before there were MACs, or under a
/// pepper that goes out of use) is signed.
/// </summary>
public sealed partial class RowVerification(
    IDbContextFactory<MiraDbContext> contexts, RowAuthenticator seal, RowViolations findings, KeyCache directory, SingleWriter gate, IServiceScopeFactory scopes,
    RowOptions options, TimeProvider clock, ILogger<RowVerification> log, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private const int MostFindings = 100;

    private readonly RowScan _walk = new();

    protected override IEnumerable<Loop> Loops() => [new("row_check", Timeout.InfiniteTimeSpan, RepeatAsync) { StartsAtOnce = true }];

    private async Task RepeatAsync(LoopRecord record, CancellationToken stoppingToken)
    {
        while (true)
        {
            var pause = options.Rest;
            try
            {
                pause = await StepAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is StoreUnavailableException or LedgerUnavailableException or OverloadedException or DbUpdateConcurrencyException)
            {
                LogDelayed(exception.Message);
            }

            record.NoteSuccess();
            await Task.Delay(pause, Clock, stoppingToken);
        }
    }

    /// <summary>Looks at the next records, or at the next events.</summary>
    /// <returns>How long to wait before the next step.</returns>
    internal async Task<TimeSpan> StepAsync(CancellationToken cancellationToken)
    {
        await LookAgainAsync(cancellationToken);
        if (!_walk.HasReadAll)
            return await ReadRowsAsync(cancellationToken) ? options.Haste : options.Pace;

        var (from, to) = (_walk.Seq, _walk.Seq + options.Stretch);
        var (head, lost) = await contexts.ReadAsync(
            "The ledger cannot be read.",
            async database =>
            {
                var end = await database.Heads.Select(one => one.Seq).SingleAsync(cancellationToken);
                var missing = await FindLostAsync(database, from, Math.Min(to, end), cancellationToken);
                return (end, missing);
            },
            cancellationToken);
        foreach (var id in lost)
            Report(id, RowViolations.Deleted);
        _walk.Seq = to;
        if (to < head)
            return options.Pace;

        await EndAsync(cancellationToken);
        if (!_walk.HasNameless)
            findings.Clear(default);
        _walk.Begin();
        return seal.IsStrict ? options.Rest : options.Haste;
    }

    /// <summary>Keys that these events changed and that have no row.</summary>
    internal static async Task<List<KeyId>> FindLostAsync(MiraDbContext database, long after, long to, CancellationToken cancellationToken)
    {
        // As text: an event whose subject was edited into something else is found by the check of the chain, and must
        // not end this one.
        var named = await database.KeyChanges.Where(change => change.Seq > after && change.Seq <= to && !database.Keys.Any(key => key.Id == change.Subject))
            .Select(change => ((string)(object)change.Subject).Substring(0, KeyId.Length + 1)).Distinct().ToListAsync(cancellationToken);
        return [.. named.Select(text => KeyId.TryParse(text, out var id) ? id : default).Where(id => id != default)];
    }

    private async Task<bool> ReadRowsAsync(CancellationToken cancellationToken)
    {
        var after = _walk.After;
        var page = await contexts.ReadAsync(
            "The keys cannot be read.", database => RowScan.PageAsync(database, after, options.Page, cancellationToken), cancellationToken);
        foreach (var row in page)
            Look(row);
        KeyId[] unsigned = [.. page.Where(seal.IsToBeSealed).Select(row => row.Key.Id)];
        if (unsigned.Length > 0)
            await SignAsync(unsigned, cancellationToken);
        _walk.Signed += unsigned.Length;
        // A place that is no number is read as one and comes after all others; it must not send the walk back.
        _walk.After = page.Count > 0 ? Math.Max(after, page.Max(row => row.CreatedSeq)) : after;
        _walk.HasReadAll = page.Count < options.Page || _walk.After == after;
        return unsigned.Length > 0;
    }

    private void Look(KeyRow row)
    {
        var id = row.Key.Id;
        _walk.HasNameless |= id == default;
        switch (seal.Judge(row))
        {
            case RowState.Forged or RowState.Replayed:
                Report(id, RowAuthenticator.ReasonOf(seal.Judge(row)));
                break;
            case RowState.Right or RowState.Unsealed:
                if (findings.Clear(id))
                    directory.Drop(id);
                break;
        }
    }

    private void Report(KeyId id, string finding)
    {
        if (!findings.Report(id, finding))
            return;

        // What memory holds of it was read before, or is the same.
        directory.Drop(id);
        LogFound(id, finding);
    }

    // A record that was put back is believed again at once, and does not wait for the next look at all.
    private async Task LookAgainAsync(CancellationToken cancellationToken)
    {
        KeyId[] ids = [.. findings.Ids.Where(id => id != default).Take(MostFindings)];
        if (ids.Length == 0)
            return;

        var rows = await contexts.ReadAsync(
            "The keys cannot be read.",
            database => database.Keys.AsNoTracking().Where(key => ids.Contains(key.Id)).ReadAsync(database, cancellationToken),
            cancellationToken);
        rows.ForEach(Look);
    }

    // Only where nobody has written in between; who has, has signed as well.
    private Task<int> SignAsync(KeyId[] ids, CancellationToken cancellationToken) => gate.RunAsync(
        async () =>
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
            var rows = await database.Keys.Where(key => ids.Contains(key.Id)).ReadAsync(database, cancellationToken);
            foreach (var row in rows.Where(seal.IsToBeSealed))
                seal.Seal(database, database.Entry(row.Key), row.BoundSeq);
            var count = await database.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(CancellationToken.None);
            return count;
        },
        cancellationToken);

    // When nothing was left to sign, what has no MAC from now on was made by somebody else. The last look is under the
    // ledger's lock.
    private async Task EndAsync(CancellationToken cancellationToken)
    {
        if (seal.IsStrict || _walk.Signed > 0)
            return;

        await using var scope = scopes.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<SqlLedger>().TransactAsync(
            async open =>
            {
                if (!await RowMacEvent.IsThereAsync(open.Database, cancellationToken))
                    open.Record(new PendingEvent(EventType.SystemStarted, Actor.System, null, null) { Reason = RowMacEvent.Reason, Changes = [RowMacEvent.Change] });
                return true;
            },
            cancellationToken);
        seal.IsStrict = true;
        LogSealed();
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "The record of {KeyId} is not the one that Mira wrote ({Finding}); the key is refused")]
    private partial void LogFound(KeyId keyId, string finding);

    [LoggerMessage(Level = LogLevel.Information, Message = "The records of all keys are signed")]
    private partial void LogSealed();

    [LoggerMessage(Level = LogLevel.Warning, Message = "The records of keys are looked through later: {Cause}")]
    private partial void LogDelayed(string cause);
}
