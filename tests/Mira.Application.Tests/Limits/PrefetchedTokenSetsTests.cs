using Mira.Application.Limits;

namespace Mira.Application.Tests.Limits;

/// <summary>
/// The two leases of one key at one node: which tokens may be spent, and which are returned to which bucket.
/// </summary>
internal sealed class PrefetchedTokenSetsTests
{
    private const long Second = TimeSpan.TicksPerSecond;

    [Test]
    public void The_next_lease_is_not_spent_after_its_end_although_the_one_in_use_lives_longer()
    {
        var leases = new PrefetchedTokenSets();
        leases.Add(PrefetchedTokens(tokens: 1, ends: 10 * Second, bucket: 1), At(0));
        leases.Add(PrefetchedTokens(tokens: 5, ends: Second, bucket: 2), At(0));

        Assert.That(leases.TrySpend(3, At(2 * Second)), Is.False);
        Assert.That(leases.Unused, Is.EqualTo((5, 2L)));
        Assert.That(leases.TrySpend(1, At(2 * Second)), Is.True);
    }

    [Test]
    public void Tokens_of_two_buckets_in_one_lease_are_returned_to_none()
    {
        var leases = ThreeLeases(lastBucket: 3);
        Assert.That(leases.SpendableAt(At(0)), Is.EqualTo(5));

        Assert.That(leases.TrySpend(1, At(Second)), Is.False);
        Assert.That(leases.TakeUnused(), Is.EqualTo((1, 1L)), "the lease that was in use");
    }

    [Test]
    public void Tokens_of_one_bucket_in_one_lease_are_returned_to_it()
    {
        var leases = ThreeLeases(lastBucket: 2);

        Assert.That(leases.TrySpend(1, At(Second)), Is.False);
        Assert.That(leases.TakeUnused(), Is.EqualTo((4, 2L)));
    }

    private static PrefetchedTokenSets ThreeLeases(long lastBucket)
    {
        var leases = new PrefetchedTokenSets();
        leases.Add(PrefetchedTokens(tokens: 1, ends: Second, bucket: 1), At(0));
        leases.Add(PrefetchedTokens(tokens: 2, ends: Second, bucket: 2), At(0));
        leases.Add(PrefetchedTokens(tokens: 2, ends: Second, bucket: lastBucket), At(0));
        return leases;
    }

    private static PrefetchedTokens PrefetchedTokens(int tokens, long ends, long bucket) => new(tokens, tokens, At(ends), ends, bucket);

    private static Moment At(long ticks) => new(ticks, ticks);
}
