using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <content>What happens to a key whose record lies where others can write, and did.</content>
public sealed partial class ApiKey
{
    /// <summary>
    /// Its record was changed or taken away where others can write, so it is not let in. Any change made through Mira puts the record right and
    /// ends this.
    /// </summary>
    public bool IsWithheld { get; private set; }

    /// <summary>
    /// What the store holds of it is not what Mira wrote, so nobody is let in by it and nothing is built on it. It is known of what was read, and
    /// never stored.
    /// </summary>
    public bool IsDoubted { get; private set; }

    /// <summary>Marks it as read from a record that is not believed.</summary>
    public void Doubt() => IsDoubted = true;

    /// <summary>Stands for a key whose record cannot be read: without any secret, and not believed.</summary>
    public static ApiKey Unreadable(KeyId id) => new() { Id = id, IsDoubted = true };

    /// <summary>Takes in a key that a record holds and this ledger does not know yet.</summary>
    /// <exception cref="FormatException">It is the record of no key.</exception>
    public static ApiKey Import(KeyRecord record, string reason)
    {
        var key = From(record);
        key._events = [new KeyEvent(EventType.KeyCreated, reason, [.. KeyChanges.OfIssue(key)])];
        return key;
    }

    /// <summary>Stops letting the key in, until its record is right again. No change of the key: its version stays. One that is over already stays as it is.</summary>
    /// <param name="changes">What was found changed; never a digest.</param>
    /// <returns>Whether it was not withheld before.</returns>
    public bool Withhold(string reason, IReadOnlyList<FieldChange> changes)
    {
        if (IsWithheld || RevokedAt is not null)
            return false;

        IsWithheld = true;
        (_events ??= []).Add(new KeyEvent(EventType.IntegrityViolation, reason, changes) { Outcome = "failure" });
        return true;
    }

    /// <summary>Lets the key in again, because its record is as it was.</summary>
    public void Release(string reason)
    {
        if (!IsWithheld)
            return;

        IsWithheld = false;
        (_events ??= []).Add(new KeyEvent(EventType.IntegrityViolation, reason, [.. KeyChanges.OfWithholding(true, false)]));
    }
}
