using Mira.Domain.Keys;

namespace Mira.Domain.Tests.Keys;

/// <summary>
/// What the contract says of a key's life, told a second time in the plainest way: nothing is ever removed, never is
/// the end of time, and every question is answered from the whole history.
/// </summary>
internal sealed class KeyLifeModel(Role role, int? days, DateTimeOffset start)
{
    private static readonly DateTimeOffset Never = DateTimeOffset.MaxValue;

    private readonly List<Held> _secrets = [new(1, EndOfLifetime(days, start))];
    private int? _days = days;
    private DateTimeOffset _revoked = Never;

    public int Version { get; private set; } = 1;

    public bool IsRevoked => _revoked != Never;

    public bool IsDisabled { get; private set; }

    public DateTimeOffset Now { get; private set; } = start;

    public IEnumerable<DateTimeOffset> Ends => _secrets.Select(End).Where(end => end != Never);

    public void Pass(TimeSpan time) => Now += time;

    public Outcome Rotate(int graceMinutes, int? newDays)
    {
        if (Status() is not (KeyStatus.Active or KeyStatus.Rotating))
            return Outcome.NotActive;

        var current = _secrets[^1];
        var next = new Held(_secrets.Count + 1, EndOfLifetime(newDays ?? _days, Now));
        var until = Earliest(Earliest(Now.AddMinutes(graceMinutes), current.Expires), next.Expires);
        var superseded = _secrets.Select(secret =>
            secret == current ? secret with { Until = until }
            : graceMinutes == 0 ? secret with { Until = Earliest(secret.Until, Now) }
            : secret).ToList();
        if (superseded.Append(next).Count(secret => Now < End(secret)) > 3)
            return Outcome.TooMany;

        _secrets.Clear();
        _secrets.AddRange([.. superseded, next]);
        _days = newDays ?? _days;
        Version++;
        return Outcome.Changed;
    }

    public Outcome Revoke(int otherAdmins)
    {
        if (IsRevoked)
            return Outcome.Unchanged;
        if (IsLastAdmin(otherAdmins))
            return Outcome.LastAdmin;

        _revoked = Now;
        Version++;
        return Outcome.Changed;
    }

    public Outcome Switch(bool off, int otherAdmins)
    {
        if (IsRevoked)
            return Outcome.NotActive;
        if (off && IsLastAdmin(otherAdmins))
            return Outcome.LastAdmin;
        if (IsDisabled == off)
            return Outcome.Unchanged;

        IsDisabled = off;
        Version++;
        return Outcome.Changed;
    }

    /// <summary>What the holder of the secret with that number is told.</summary>
    public VerdictCode Ask(int number)
    {
        var secret = _secrets[number - 1];
        if (!Remembered().Contains(secret))
            return VerdictCode.InvalidKey;

        return IsRevoked ? VerdictCode.KeyRevoked
            : Now >= secret.Until ? VerdictCode.KeyRotatedOut
            : Now >= secret.Expires ? VerdictCode.KeyExpired
            : IsDisabled ? VerdictCode.KeyDisabled
            : VerdictCode.Valid;
    }

    public KeyStatus Status()
    {
        var alive = _secrets.Where(secret => Now < End(secret)).ToList();
        return IsRevoked ? KeyStatus.Revoked
            : alive.Count == 0 ? KeyStatus.Expired
            : IsDisabled ? KeyStatus.Disabled
            : alive.Exists(secret => secret.Until != Never) ? KeyStatus.Rotating
            : KeyStatus.Active;
    }

    private IEnumerable<Held> Remembered()
    {
        var ended = _secrets.Where(secret => End(secret) <= Now).OrderByDescending(End).ThenByDescending(secret => secret.Number).Take(5);
        return _secrets.Where(secret => Now < End(secret)).Concat(ended.Where(secret => Now < End(secret).AddDays(90)));
    }

    private bool IsLastAdmin(int otherAdmins) =>
        role == Role.Admin && otherAdmins == 0 && Status() is KeyStatus.Active or KeyStatus.Rotating && Now < End(_secrets[^1]);

    private DateTimeOffset End(Held secret) => Earliest(Earliest(secret.Until, secret.Expires), _revoked);

    private static DateTimeOffset EndOfLifetime(int? days, DateTimeOffset from) => days is null ? Never : from.AddDays(days.Value);

    private static DateTimeOffset Earliest(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;

    private sealed record Held(int Number, DateTimeOffset Expires)
    {
        public DateTimeOffset Until { get; init; } = Never;
    }
}

internal enum Outcome
{
    Changed,
    Unchanged,
    NotActive,
    TooMany,
    LastAdmin,
}
