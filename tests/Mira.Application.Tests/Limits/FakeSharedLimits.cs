using Mira.Application.Limits;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Limits;

/// <summary>
/// The shared windows in memory, by the rules of the real ones: buckets of a second by their own clock, each counted
/// whole until its latest grant is 60 s and its life old. It can be gone, silent, or slow on the way to it and on the
/// way back.
/// </summary>
internal sealed class FakeSharedLimits(TimeProvider clock) : ISharedLimits
{
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(60);

    private readonly Dictionary<KeyId, SortedDictionary<long, Bucket>> _windows = [];
    private readonly long _start = clock.GetTimestamp();

    private long _debts;

    public bool IsAvailable { get; set; } = true;

    public int NodesSeen { get; set; } = 1;

    /// <summary>It takes the tokens, and its answer is lost.</summary>
    public bool IsSilent { get; set; }

    /// <summary>What passes before it hears of a question, and before its answer is heard of.</summary>
    public Func<Task> Going { get; set; } = () => Task.CompletedTask;

    public Func<Task> Coming { get; set; } = () => Task.CompletedTask;

    public List<Question> Asked { get; } = [];

    public async ValueTask<Grant?> TakeAsync(KeyId key, int limit, int needed, int wanted, TimeSpan life, Settlement settlement = default)
    {
        Assert.That(needed, Is.InRange(0, wanted));
        lock (Asked)
            Asked.Add(new Question(key, limit, needed, wanted, life) { Settlement = settlement });
        // Nobody's context: a node that is paused does not hold up what is on its way.
        await Going().ConfigureAwait(false);
        var grant = Take(key, limit, needed, wanted, life, settlement);
        await Coming().ConfigureAwait(false);
        return IsSilent ? null : grant;
    }

    /// <summary>What another node does at this moment.</summary>
    public Grant Take(KeyId key, int limit, int needed, int wanted, TimeSpan? life = null, Settlement settlement = default)
    {
        lock (Asked)
        {
            var now = clock.GetElapsedTime(_start);
            if (!_windows.TryGetValue(key, out var window))
                _windows[key] = window = [];
            foreach (var (second, bucket) in window.ToList())
            {
                if (bucket.Until <= now || bucket.Count == 0)
                    window.Remove(second);
            }

            if (settlement.Unused > 0 && window.TryGetValue(settlement.Bucket, out var unused))
            {
                Assert.That(unused.Count, Is.GreaterThanOrEqualTo(settlement.Unused), "nobody returns what he has not got");
                window[settlement.Bucket] = unused with { Count = unused.Count - settlement.Unused };
            }

            if (settlement.Owed > 0)
                window[--_debts] = new Bucket(settlement.Owed, now + settlement.OwedFor);
            var left = Math.Max(0, limit - window.Values.Sum(bucket => bucket.Count));
            var tokens = Math.Min(left, wanted) is var most && most >= needed ? most : 0;
            var start = (long)now.TotalSeconds;
            if (tokens > 0)
            {
                var bucket = window.GetValueOrDefault(start);
                var until = now + Length + (life ?? TimeSpan.FromSeconds(1));
                window[start] = new Bucket(bucket.Count + tokens, until > bucket.Until ? until : bucket.Until);
            }

            var oldest = window.Count == 0 ? TimeSpan.Zero : window.Values.Min(bucket => bucket.Until) - now;
            return new Grant(tokens, left - tokens, oldest, start);
        }
    }

    internal sealed record Question(KeyId Key, int Limit, int Needed, int Wanted, TimeSpan Life)
    {
        public Settlement Settlement { get; init; }
    }

    private readonly record struct Bucket(int Count, TimeSpan Until);
}
