using System.Collections.Concurrent;
using System.Security.Claims;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>
/// When secrets were last used, collected in memory. It is flushed in batches, so a crash loses the last seconds of it,
/// and nothing else: a use never writes the key's record or counts as its change.
/// </summary>
/// <param name="capacity">How many secrets may wait. While they cannot be written, keys that the cache forgets and
/// reads again wait anew; past this many the use of further ones is not kept.</param>
public sealed class UsageLog(PepperRing peppers, int capacity = UsageLog.DefaultCapacity)
{
    public const int DefaultCapacity = 1_000_000;

    private readonly ConcurrentQueue<SecretUse> _pending = new();
    private int _count;

    /// <summary>Secrets whose use is not written yet.</summary>
    public int Pending => _pending.Count;

    /// <summary>
    /// Notes that a token was accepted. One whose digest is under another pepper than the current gets a new digest
    /// with the flush.
    /// </summary>
    public void Record(SecretUse use, Token token, DateTimeOffset now)
    {
        if (use.Secret.PepperId != peppers.Current.Id)
            use.Renewal ??= new Renewal(peppers.Seal(token));
        if (use.Touch(now))
            Add(use);
    }

    /// <summary>Takes what came since the last time, at most this many.</summary>
    public IReadOnlyList<SecretUse> Take(int limit)
    {
        var taken = new List<SecretUse>();
        while (taken.Count < limit && _pending.TryDequeue(out var use))
        {
            Interlocked.Decrement(ref _count);
            use.Release();
            taken.Add(use);
        }

        return taken;
    }

    /// <summary>Gives back what could not be written.</summary>
    public void Return(IEnumerable<SecretUse> uses)
    {
        foreach (var use in uses.Where(use => use.Hold()))
            Add(use);
    }

    private void Add(SecretUse use)
    {
        // Counted by itself: the queue's own count looks at all of its parts.
        if (Interlocked.Increment(ref _count) <= capacity)
        {
            _pending.Enqueue(use);
            return;
        }

        Interlocked.Decrement(ref _count);
        use.Release();
    }
}

/// <summary>
/// What is kept for one secret between calls: its principal, its description, and when it was last used.
/// </summary>
public sealed class SecretUse(KeyId keyId, Secret secret)
{
    private long _lastUsedTicks;
    private int _isPending;

    public KeyId KeyId { get; } = keyId;

    public Secret Secret { get; } = secret;

    /// <summary>Built by the authentication handler once, not for every call.</summary>
    public ClaimsPrincipal? Principal { get; set; }

    /// <summary>
    /// What answers about this secret say of its key, as UTF-8; made by who answers at the first one.
    /// </summary>
    public byte[]? Description { get; set; }

    public DateTimeOffset LastUsedAt => new(Interlocked.Read(ref _lastUsedTicks), TimeSpan.Zero);

    /// <summary>The digest under the current pepper, when the stored one is under another.</summary>
    public Renewal? Renewal { get; set; }

    /// <summary>True when it has to be queued.</summary>
    internal bool Touch(DateTimeOffset now)
    {
        // Two calls in one moment may write in either order; both times are true to the millisecond.
        if (now.UtcTicks > Interlocked.Read(ref _lastUsedTicks))
            Interlocked.Exchange(ref _lastUsedTicks, now.UtcTicks);
        return Hold();
    }

    internal bool Hold() => Volatile.Read(ref _isPending) == 0 && Interlocked.Exchange(ref _isPending, 1) == 0;

    internal void Release() => Interlocked.Exchange(ref _isPending, 0);
}

/// <summary>The digest that takes the place of one under another pepper.</summary>
public sealed record Renewal(HashedToken Seal);

/// <summary>Where usage is flushed to.</summary>
public interface IUsageStore
{
    /// <summary>
    /// Writes the later of the stored and the new time for each secret, and renewed digests where the old one is still
    /// stored. Neither a version nor an event comes of it.
    /// </summary>
    Task WriteAsync(IReadOnlyList<SecretUse> uses, CancellationToken cancellationToken);
}
