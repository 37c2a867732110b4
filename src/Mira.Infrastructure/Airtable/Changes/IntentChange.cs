using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Decides a change without doing it: what a handler did to keys becomes intents, which are all that this transaction
/// writes. Keys with a change that is not resolved yet are closed to it.
/// </summary>
internal sealed class IntentChange(SqlLedgerChange change) : ILedgerChange
{
    private readonly List<KeyEvent> _systemEvents = [];
    private readonly List<PendingEvent> _drafts = [];
    private (IdempotentRequest IdempotentRequest, string Answer)? _answer;

    public DateTimeOffset Now => change.Now;

    private MiraDbContext Database => change.Database;

    /// <exception cref="UnresolvedChangeException">Its last change is not resolved.</exception>
    public async Task<ApiKey?> FindKeyAsync(KeyId id)
    {
        if (await Database.AirtableIntents.AnyAsync(intent => intent.KeyId == id))
            throw new UnresolvedChangeException();
        return await change.FindKeyAsync(id);
    }

    public async Task<bool> HasKeysAsync() => await change.HasKeysAsync() || await Database.AirtableIntents.AnyAsync();

    // What is not resolved may end an admin, so none of those counts.
    public Task<int> CountActiveAdminsAsync(KeyId except) => change.CountActiveAdminsAsync(
        except, admins => admins.Where(key => !Database.AirtableIntents.Any(intent => intent.KeyId == key.Id)));

    public void Add(ApiKey key) => change.Add(key);

    public void Record(KeyEvent systemEvent) => _systemEvents.Add(systemEvent);

    public void Record(PendingEvent gathered) => _drafts.Add(gathered);

    /// <exception cref="UnresolvedChangeException">The first request is not resolved.</exception>
    public async Task<StoredResponse?> FindAnswerAsync(IdempotentRequest repeat)
    {
        if (await Database.AirtableIntents.AnyAsync(intent => intent.AnswerCaller == repeat.Caller && intent.AnswerKey == repeat.Key))
            throw new UnresolvedChangeException();
        return await change.FindAnswerAsync(repeat);
    }

    public void Remember(IdempotentRequest repeat, string answer) => _answer = (repeat, answer);

    public Task<PruneResult> CutAsync(DateTimeOffset before, int keep, int most) => change.CutAsync(before, keep, most);

    /// <summary>
    /// Turns what was done into intents; none when no key was changed, and then the rest is written as it is.
    /// </summary>
    public IReadOnlyList<AirtableIntent> Close(AuditScope scope, string owner, TimeSpan life)
    {
        var changed = Database.ChangeTracker.Entries<ApiKey>()
            .Select(entry => (entry.Entity, Events: entry.Entity.TakeEvents())).Where(one => one.Events.Count > 0).ToList();
        if (changed.Count == 0)
        {
            foreach (var systemEvent in _systemEvents)
                change.Record(systemEvent);
            foreach (var draft in _drafts)
                change.Record(draft);
            if (_answer is { } kept)
                change.Remember(kept.IdempotentRequest, kept.Answer);
            return [];
        }

        var operation = Guid.NewGuid();
        var drafts = changed.SelectMany(one => one.Events.Select(happened => scope.DraftOf(happened, one.Entity.Id.Value)))
            .Concat(_systemEvents.Select(happened => scope.DraftOf(happened, null))).Concat(_drafts).ToList();
        List<AirtableIntent> intents = [.. changed.Select((one, index) => new AirtableIntent
        {
            KeyId = one.Entity.Id,
            Operation = operation,
            Kind = KindOf(one.Events),
            Record = JsonSerializer.Serialize(KeyRecord.Of(one.Entity)),
            Events = JsonSerializer.Serialize(index == 0 ? drafts : []),
            AnswerCaller = index == 0 ? _answer?.IdempotentRequest.Caller : null,
            AnswerKey = index == 0 ? _answer?.IdempotentRequest.Key : null,
            AnswerFingerprint = index == 0 ? _answer?.IdempotentRequest.Fingerprint : null,
            Answer = index == 0 ? _answer?.Answer : null,
            Owner = owner,
            Deadline = change.Now + life,
        })];
        // Only now: what is let go of also leaves the keys.
        foreach (var entry in Database.ChangeTracker.Entries().Where(entry => entry.Entity is ApiKey or Secret).ToList())
            entry.State = EntityState.Detached;
        Database.AirtableIntents.AddRange(intents);
        return intents;
    }

    private static IntentKind KindOf(IReadOnlyList<KeyEvent> events)
    {
        if (events.Any(happened => happened.Type == EventType.KeyCreated))
            return IntentKind.Create;
        if (events.Any(happened => happened.Type == EventType.KeyRotated))
            return IntentKind.Rotate;
        return events.Any(happened => happened.Type is EventType.KeyRevoked or EventType.KeyDisabled) ? IntentKind.End : IntentKind.Update;
    }
}

/// <summary>The key, or the answer to a repeat, hangs on a change whose outcome is unknown.</summary>
internal sealed class UnresolvedChangeException() : Exception("The last change of this key is not resolved yet.");
