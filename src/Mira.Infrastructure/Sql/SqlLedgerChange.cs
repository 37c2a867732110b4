using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>What one change reads and does inside its transaction.</summary>
internal sealed class SqlLedgerChange(SqlStore store, MiraDbContext database, DateTimeOffset now, CancellationToken cancellationToken) : ILedgerChange
{
    private readonly List<KeyEvent> _systemEvents = [];
    private readonly List<EventDraft> _gathered = [];

    public DateTimeOffset Now => now;

    /// <summary>The change's own context, in its transaction.</summary>
    internal MiraDbContext Database => database;

    public async Task<ApiKey?> FindKeyAsync(KeyId id)
    {
        // Usage is flushed without the ledger's lock, in the order of versions; taken in the same one before anything is written.
        await store.HoldSecretsAsync(database, id.Value, cancellationToken);
        return await database.Keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)).SingleOrDefaultAsync(key => key.Id == id, cancellationToken);
    }

    public Task<bool> HasKeysAsync() => database.Keys.AnyAsync(cancellationToken);

    public Task<int> CountActiveAdminsAsync(KeyId except) => CountActiveAdminsAsync(except, admins => admins);

    /// <param name="among">Which of them count at all.</param>
    internal Task<int> CountActiveAdminsAsync(KeyId except, Func<IQueryable<ApiKey>, IQueryable<ApiKey>> among) =>
        among(database.Keys.Where(key => key.Role == Role.Admin && key.Id != except).WhereActive(now)).CountAsync(cancellationToken);

    public void Add(ApiKey key) => database.Keys.Add(key);

    public void Record(KeyEvent systemEvent) => _systemEvents.Add(systemEvent);

    public void Record(EventDraft gathered) => _gathered.Add(gathered);

    public async Task<RememberedAnswer?> FindAnswerAsync(Repeat repeat)
    {
        var oldest = now - Repeat.KeptFor;
        await database.Answers.Where(answer => answer.At <= oldest).ExecuteDeleteAsync(cancellationToken);
        return await database.Answers
            .Where(answer => answer.Caller == repeat.Caller && answer.Key == repeat.Key)
            .Select(answer => new RememberedAnswer(answer.Fingerprint, answer.Answer))
            .SingleOrDefaultAsync(cancellationToken);
    }

    public void Remember(Repeat repeat, string answer) => database.Answers.Add(new StoredAnswer
    {
        Caller = repeat.Caller,
        Key = repeat.Key,
        Fingerprint = repeat.Fingerprint,
        Answer = answer,
        At = now,
    });

    /// <summary>Appends the events of all keys touched and moves the head; what is then in the context is the whole change.</summary>
    public IReadOnlyList<LedgerEvent> Close(LedgerHead head, AuditScope scope)
    {
        var events = new List<LedgerEvent>();
        foreach (var entry in database.ChangeTracker.Entries<ApiKey>().ToList())
        {
            var key = entry.Entity;
            foreach (var keyEvent in key.TakeEvents())
                Append(scope.DraftOf(keyEvent, key.Id.Value));
            entry.Property(KeyColumns.NameFolded).CurrentValue = Label.Fold(key.Name);
            entry.Property(KeyColumns.OwnerFolded).CurrentValue = key.Owner is null ? null : Label.Fold(key.Owner);
            entry.Property(KeyColumns.LapseAt).CurrentValue = key.LapsesAt;
            entry.Property(KeyColumns.RotationUntil).CurrentValue = key.RotatingUntil;
        }

        foreach (var systemEvent in _systemEvents)
            Append(scope.DraftOf(systemEvent, null));
        foreach (var draft in _gathered)
            Append(draft);
        database.Events.AddRange(events);

        // A new key's place in lists is that of the last event about it.
        var places = events.Where(entry => entry.Subject is not null).GroupBy(entry => entry.Subject!).ToDictionary(group => group.Key, group => group.Last().Seq);
        foreach (var entry in database.ChangeTracker.Entries<ApiKey>().Where(entry => entry.State == EntityState.Added))
            entry.Property(KeyColumns.CreatedSeq).CurrentValue = places[entry.Entity.Id.Value];
        return events;

        void Append(EventDraft draft)
        {
            var appended = LedgerEvent.Append(head.Position, now, draft);
            (head.Seq, head.Hash) = (appended.Seq, appended.Hash);
            events.Add(appended);
        }
    }
}
