using System.Collections.Concurrent;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>
/// The keys whose stored records are not what Mira wrote, as far as this node has come upon them. Each is told of once
/// in the audit trail, and shows in health and metrics until its record is right again.
/// </summary>
/// <param name="most">How many are kept apart; more are only counted.</param>
public sealed class RowViolations(AggregatedEvents gathered, int most = RowViolations.Most) : IMetricSource
{
    public const int Most = 10_000;

    /// <summary>The record was edited, moved or made up: Mira did not write it.</summary>
    public const string Forged = "row_forged";

    /// <summary>Mira wrote it, but the key was changed since: an older one was put back.</summary>
    public const string Replayed = "row_replayed";

    /// <summary>The ledger tells of a key that has no record any more.</summary>
    public const string Deleted = "row_deleted";

    private readonly ConcurrentDictionary<KeyId, string> _found = new();
    private long _total;

    /// <summary>How many keys are not believed now.</summary>
    public int Count => _found.Count;

    /// <summary>The keys that are not believed now.</summary>
    public IReadOnlyCollection<KeyId> Ids => [.. _found.Keys];

    /// <summary>What is wrong with the key's record; null when nothing is known to be.</summary>
    public string? Find(KeyId id) => _found.GetValueOrDefault(id);

    /// <summary>Notes what was found, and has it recorded when it was not known.</summary>
    /// <returns>Whether it was not known before.</returns>
    public bool Report(KeyId id, string finding)
    {
        if (_found.Count >= most || !_found.TryAdd(id, finding))
            return false;

        Interlocked.Increment(ref _total);
        gathered.Note(new EventGroup(EventType.IntegrityViolation, finding) { Subject = id.Value }, id, static _ => Actor.System);
        return true;
    }

    /// <summary>Says that the key's record is right again.</summary>
    /// <returns>Whether it was not right before.</returns>
    public bool Clear(KeyId id) => _found.TryRemove(id, out _);

    public void Register(Instruments instruments)
    {
        instruments.Gauge("key_rows_doubted", "Keys whose stored records are not what Mira wrote, and are refused", () => Count);
        instruments.Counter("key_rows_found_wrong", "Stored records of keys found wrong, since the start", () => Interlocked.Read(ref _total));
    }
}
