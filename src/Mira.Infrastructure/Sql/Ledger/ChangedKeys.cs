using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// The keys that one change reads and writes: which of them are believed, and the signing of their rows. Nothing that
/// is not believed is written back.
/// </summary>
internal sealed class ChangedKeys(MiraDbContext database, RowAuthenticator seal, CancellationToken cancellationToken)
{
    private const int AdminsAtOnce = 20;

    // Each with the last event that had changed it.
    private readonly Dictionary<KeyId, long> _believed = [];

    /// <summary>The key, followed from here on; one that is not believed is marked so.</summary>
    public async Task<ApiKey?> FindAsync(KeyId id)
    {
        var row = (await database.Keys.Where(key => key.Id == id).ReadAsync(database, cancellationToken)).SingleOrDefault();
        // Asked for twice, it is the object that may have been changed meanwhile.
        if (row is not null && !_believed.ContainsKey(id))
            Believe(row);
        return row?.Key;
    }

    /// <summary>How many these are; none when not one of them is believed.</summary>
    public async Task<int> CountAsync(IQueryable<ApiKey> keys)
    {
        var count = await keys.CountAsync(cancellationToken);
        for (var seen = 0; seen < count; seen += AdminsAtOnce)
        {
            var page = await keys.OrderBy(key => key.Id).Skip(seen).Take(AdminsAtOnce).AsNoTracking().ReadAsync(database, cancellationToken);
            if (page.Any(seal.Examine))
                return count;
        }

        return 0;
    }

    /// <summary>Lets go of keys that are not believed, so that nothing is saved of what was done to them.</summary>
    public async Task LeaveDoubtedAsync()
    {
        var tracked = database.ChangeTracker.Entries<ApiKey>().Where(entry => entry.State != EntityState.Added).ToList();
        KeyId[] unknown = [.. tracked.Select(entry => entry.Entity.Id).Where(id => !_believed.ContainsKey(id))];
        if (unknown.Length == 0)
            return;

        // As they are stored: what is followed may have been changed already.
        var stored = await database.Keys.AsNoTracking().Where(key => unknown.Contains(key.Id)).ReadAsync(database, cancellationToken);
        stored.ForEach(Believe);
        foreach (var entry in tracked.Where(entry => !_believed.ContainsKey(entry.Entity.Id)))
        {
            foreach (var secret in SecretsOf(entry).ToList())
                secret.State = EntityState.Detached;
            entry.State = EntityState.Detached;
        }
    }

    /// <summary>
    /// Signs the rows of all keys that were changed or that an event is about, bound to the last of these events.
    /// </summary>
    public async Task SealAsync(IReadOnlyList<LedgerEvent> events)
    {
        var last = new Dictionary<KeyId, long>();
        foreach (var entry in events.Where(entry => entry.ChangesKey))
        {
            if (KeyId.TryParse(entry.Subject, out var id))
                last[id] = entry.Seq;
        }

        // A change that was taken back is told of as well, and leaves the key as it was.
        var tracked = database.ChangeTracker.Entries<ApiKey>().Select(entry => entry.Entity.Id).ToHashSet();
        foreach (var id in last.Keys.Where(id => !tracked.Contains(id)))
        {
            if (await FindAsync(id) is { } key && !_believed.ContainsKey(id))
                database.Entry(key).State = EntityState.Detached;
        }

        // A new key's place in lists is that of the last event about it.
        var places = events.Where(entry => entry.Subject is not null).GroupBy(entry => entry.Subject!).ToDictionary(group => group.Key, group => group.Last().Seq);
        foreach (var entry in database.ChangeTracker.Entries<ApiKey>().ToList())
        {
            if (entry.State == EntityState.Added)
                entry.Property(KeyColumns.CreatedSeq).CurrentValue = places[entry.Entity.Id.Value];
            if (entry.State != EntityState.Unchanged || last.ContainsKey(entry.Entity.Id) || SecretsOf(entry).Any(secret => secret.State != EntityState.Unchanged))
                seal.Seal(database, entry, last.TryGetValue(entry.Entity.Id, out var seq) ? seq : _believed[entry.Entity.Id]);
        }
    }

    private void Believe(KeyRow row)
    {
        if (seal.Examine(row))
            _believed[row.Key.Id] = row.BoundSeq;
    }

    private IEnumerable<EntityEntry<Secret>> SecretsOf(EntityEntry<ApiKey> entry) =>
        database.ChangeTracker.Entries<Secret>().Where(secret => (KeyId)secret.Property(SecretColumns.KeyId).CurrentValue! == entry.Entity.Id);
}
