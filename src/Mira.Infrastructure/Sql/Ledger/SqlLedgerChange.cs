using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>What one change reads and does inside its transaction.</summary>
internal sealed class SqlLedgerChange(
    SqlStore store, MiraDbContext database, LedgerHead head, AuditKey auditKey, RowAuthenticator rows, DateTimeOffset now, CancellationToken cancellationToken)
    : ILedgerChange
{
    private readonly ChangedKeys _touched = new(database, rows, cancellationToken);
    private readonly List<PendingEvent> _findings = [];
    private readonly List<KeyEvent> _systemEvents = [];
    private readonly List<PendingEvent> _gathered = [];

    public DateTimeOffset Now => now;

    /// <summary>The seq of the first event that the change itself brings.</summary>
    internal long FirstSeq => head.Seq + 1 + _findings.Count;

    /// <summary>The change's own context, in its transaction.</summary>
    internal MiraDbContext Database => database;

    public async Task<ApiKey?> FindKeyAsync(KeyId id)
    {
        // Usage is flushed without the ledger's lock, in the order of versions; taken in the same one before anything
        // is written.
        await store.HoldSecretsAsync(database, id.Value, cancellationToken);
        return await _touched.FindAsync(id);
    }

    public Task<bool> HasKeysAsync() => database.Keys.AnyAsync(cancellationToken);

    public Task<int> CountActiveAdminsAsync(KeyId except) => CountActiveAdminsAsync(except, admins => admins);

    /// <param name="among">Which of them count at all.</param>
    internal Task<int> CountActiveAdminsAsync(KeyId except, Func<IQueryable<ApiKey>, IQueryable<ApiKey>> among) =>
        _touched.CountAsync(among(database.Keys.Where(key => key.Id != except).WhereActiveAdmin(now)));

    public void Add(ApiKey key) => database.Keys.Add(key);

    public void Record(KeyEvent systemEvent) => _systemEvents.Add(systemEvent);

    public void Record(PendingEvent gathered) => _gathered.Add(gathered);

    /// <summary>
    /// Records what was found of the head, before all that follows it; when another key takes over, it signs for what
    /// the one before it had signed as pruned.
    /// </summary>
    public async Task RecordAsync(PendingEvent finding)
    {
        _findings.Add(finding);
        if (finding.Reason == AuditKeyRotation.Reason
            && await database.Begins.SingleOrDefaultAsync(cancellationToken) is { } begin
            && auditKey.FindPublic(head.SignedBy)!.Verifies(begin.Statement, isCut: true))
        {
            begin.Sign(auditKey, now);
        }
    }

    public async Task<PruneResult> CutAsync(DateTimeOffset before, int keep, int most)
    {
        var begin = await database.Begins.SingleOrDefaultAsync(cancellationToken);
        var last = begin is null ? LedgerPosition.Start : new LedgerPosition(begin.Seq, begin.Hash);
        // Signed anew, a begin that somebody else made would be a true one.
        if (begin is not null && !auditKey.Public.Verifies(begin.Statement, isCut: true))
            return new PruneResult(0, last.Seq + 1);

        var end = Math.Min(head.Seq - keep, last.Seq + most);
        var (from, start) = (last.Seq, last.Seq);
        if (await FindForgedEndAsync(start) is { } forged)
            return new PruneResult(0, forged);

        await foreach (var entry in database.Events.AsNoTracking().Where(entry => entry.Seq > start && entry.Seq <= end).OrderBy(entry => entry.Seq).AsAsyncEnumerable())
        {
            // What does not hold together is kept as it is, to be looked at.
            if (!entry.Follows(last))
                return new PruneResult(0, last.Seq + 1);
            if (entry.At >= before)
                break;
            last = entry.Position;
        }

        if (last.Seq == from)
            return default;

        var epoch = await SqlLedgerReader.FindEpochAsync(database, last.Seq, cancellationToken);
        await database.Events.Where(entry => entry.Seq <= last.Seq).ExecuteDeleteAsync(cancellationToken);
        await database.Checkpoints.Where(checkpoint => checkpoint.Seq <= last.Seq).ExecuteDeleteAsync(cancellationToken);
        if (begin is null)
            database.Begins.Add(begin = new PruningPoint());
        (begin.Seq, begin.Hash, begin.Epoch) = (last.Seq, last.Hash, epoch);
        begin.Sign(auditKey, now);
        Record(new PendingEvent(EventType.AuditPruned, Actor.System, null, null)
        {
            Changes = [new FieldChange("first_seq", from + 1, last.Seq + 1), .. rows.IsStrict ? [RowMacEvent.Change] : Array.Empty<FieldChange>()],
        });
        return new PruneResult(last.Seq - from, null);
    }

    public async Task<StoredResponse?> FindAnswerAsync(IdempotentRequest repeat)
    {
        var oldest = now - IdempotentRequest.KeptFor;
        await database.Answers.Where(answer => answer.At <= oldest).ExecuteDeleteAsync(cancellationToken);
        return await database.Answers
            .Where(answer => answer.Caller == repeat.Caller && answer.Key == repeat.Key)
            .Select(answer => new StoredResponse(answer.Fingerprint, answer.Answer))
            .SingleOrDefaultAsync(cancellationToken);
    }

    public void Remember(IdempotentRequest repeat, string answer) => database.Answers.Add(new StoredResponseRow
    {
        Caller = repeat.Caller,
        Key = repeat.Key,
        Fingerprint = repeat.Fingerprint,
        Answer = answer,
        At = now,
    });

    /// <summary>
    /// Appends the events of all keys touched, signs their rows and moves the head; what is then in the context is the
    /// whole change.
    /// </summary>
    public async Task<IReadOnlyList<LedgerEvent>> CloseAsync(AuditScope scope)
    {
        await _touched.LeaveDoubtedAsync();
        var events = new List<LedgerEvent>();
        foreach (var finding in _findings)
            Append(finding);
        foreach (var key in database.ChangeTracker.Entries<ApiKey>().Select(entry => entry.Entity).ToList())
        {
            foreach (var keyEvent in key.TakeEvents())
                Append(scope.DraftOf(keyEvent, key.Id.Value));
        }

        foreach (var systemEvent in _systemEvents)
            Append(scope.DraftOf(systemEvent, null));
        foreach (var draft in _gathered)
            Append(draft);
        database.Events.AddRange(events);
        await _touched.SealAsync(events);
        return events;

        void Append(PendingEvent draft)
        {
            var appended = LedgerEvent.Append(head.Position, now, draft);
            (head.Seq, head.Hash) = (appended.Seq, appended.Hash);
            events.Add(appended);
        }
    }

    /// <summary>
    /// The first event, of all that is left, that tells of an end before it for which no checkpoint of this key
    /// vouches: a cut would be a true statement about what is false.
    /// </summary>
    private async Task<long?> FindForgedEndAsync(long begin)
    {
        var telling = await database.Events.AsNoTracking()
            .Where(entry => entry.Type == EventType.IntegrityViolation && entry.Seq > begin + 1 && entry.Body.Contains(UnauthenticatedHead.Mark))
            .OrderBy(entry => entry.Seq).ToListAsync(cancellationToken);
        foreach (var entry in telling.Where(UnauthenticatedHead.IsToldBy))
        {
            if (await database.Checkpoints.FindAsync([entry.Seq - 1], cancellationToken) is not { } kept || !auditKey.Public.Verifies(kept.Statement))
                return entry.Seq;
        }

        return null;
    }
}
