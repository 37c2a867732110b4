using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <summary>
/// The secrets of one key, oldest first: which of them work, how a new one replaces the current one, and for how long
/// the holder of an ended one is still told why it ended. It looks at the list of its key and holds nothing itself.
/// </summary>
public readonly ref struct SecretHistory
{
    public const int MaximumLive = 3;
    public const int MaximumRemembered = 5;

    /// <summary>How long the holder of an ended secret is still told why it ended.</summary>
    public static readonly TimeSpan RememberedFor = TimeSpan.FromDays(90);

    private readonly List<Secret> _secrets;
    private readonly DateTimeOffset? _revokedAt;

    internal SecretHistory(List<Secret> secrets, DateTimeOffset? revokedAt)
    {
        _secrets = secrets;
        _revokedAt = revokedAt;
    }

    // Loops, because every validation asks, and a query would allocate for each.

    /// <summary>When the last of them ends; null when one never does.</summary>
    internal DateTimeOffset? LastDeadline
    {
        get
        {
            DateTimeOffset? last = null;
            foreach (var secret in _secrets)
            {
                if (secret.Deadline is not { } deadline)
                    return null;
                last = deadline < last ? last : deadline;
            }

            return last;
        }
    }

    /// <summary>When the last superseded one ends; null when there is none.</summary>
    internal DateTimeOffset? LastSupersededDeadline
    {
        get
        {
            DateTimeOffset? last = null;
            foreach (var secret in _secrets)
            {
                if (secret.IsSuperseded)
                    last = secret.Deadline < last ? last : secret.Deadline;
            }

            return last;
        }
    }

    /// <summary>
    /// Makes this secret the current one. The previous one works until the earliest of now + grace, its own end and the
    /// new one's end. No other deadline changes, except that a grace of zero ends them all now. Secrets that are no
    /// longer remembered are removed.
    /// </summary>
    /// <returns>False when more than <see cref="MaximumLive"/> would work; then nothing has changed.</returns>
    internal bool TryAdd(Secret next, TimeSpan grace, DateTimeOffset now)
    {
        var previous = _secrets[^1];
        var previousEnd = new[] { now + grace, previous.ExpiresAt, next.ExpiresAt }.Min()!.Value;
        var endsAll = grace == TimeSpan.Zero;
        var live = endsAll ? 0 : _secrets.Count(secret => secret == previous ? previousEnd > now : !secret.HasEnded(now));
        if (live + 1 > MaximumLive)
            return false;

        foreach (var secret in _secrets)
        {
            if (endsAll && secret.IsSuperseded && !secret.HasEnded(now))
                secret.Supersede(now);
        }

        previous.Supersede(previousEnd);
        _secrets.Add(next);
        RemoveForgotten(now);
        return true;
    }

    /// <summary>Finds the secret of this token, if its holder may be told about it.</summary>
    internal Secret? Find(Token token, PepperRing peppers, DateTimeOffset now)
    {
        Span<byte> hash = stackalloc byte[Digest.Size];
        token.Hash(hash);
        var pepper = peppers.Current;
        var digest = pepper.Digest(hash);
        Secret? found = null;
        foreach (var secret in _secrets)
        {
            // Nearly always all secrets are under the current pepper and one digest serves for all.
            if (secret.PepperId != pepper.Id)
            {
                if (peppers.Find(secret.PepperId) is not { } other)
                    continue;
                (pepper, digest) = (other, other.Digest(hash));
            }

            if (secret.Matches(digest))
                found = secret;
        }

        return found is not null && IsRemembered(found, now) ? found : null;
    }

    /// <summary>
    /// True for every secret that works, and for the <see cref="MaximumRemembered"/> that ended last, each for
    /// <see cref="RememberedFor"/>.
    /// </summary>
    internal bool IsRemembered(Secret secret, DateTimeOffset now) =>
        EndOf(secret) is not { } end || end > now
        || (end + RememberedFor > now && CountLaterEnds(end, secret.Version, now) < MaximumRemembered);

    private void RemoveForgotten(DateTimeOffset now)
    {
        // Chosen before any is removed: whether one is remembered depends on all the others.
        HashSet<Secret> forgotten = [];
        foreach (var secret in _secrets)
        {
            if (!IsRemembered(secret, now))
                forgotten.Add(secret);
        }

        _secrets.RemoveAll(forgotten.Contains);
    }

    private int CountLaterEnds(DateTimeOffset end, int version, DateTimeOffset now)
    {
        var count = 0;
        foreach (var other in _secrets)
        {
            if (EndOf(other) is { } otherEnd && otherEnd <= now && (otherEnd > end || (otherEnd == end && other.Version > version)))
                count++;
        }

        return count;
    }

    private DateTimeOffset? EndOf(Secret secret) =>
        _revokedAt < (secret.Deadline ?? DateTimeOffset.MaxValue) ? _revokedAt : secret.Deadline;
}
