using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public class UsageLogTests
{
    private HeldKey _held = null!;
    private SecretUse _use = null!;
    private UsageLog _usage = null!;

    [SetUp]
    public void SetUp()
    {
        _held = new HeldKey();
        _use = new SecretUse(_held.Id, _held.Key.Current);
        _usage = new UsageLog(HeldKey.Peppers);
    }

    [Test]
    public void A_secret_used_often_is_queued_once_with_its_last_use()
    {
        Record(1);
        Record(3);
        Record(2);

        Assert.That(_usage.Take(10), Is.EqualTo(new[] { _use }));
        Assert.That(_use.LastUsedAt, Is.EqualTo(HeldKey.Start.AddMinutes(3)), "never earlier than it was");
        Assert.That(_usage.Take(10), Is.Empty);
    }

    [Test]
    public void A_secret_used_again_after_it_was_taken_is_queued_again()
    {
        Record(1);
        _usage.Take(10);
        Record(2);

        Assert.That(_usage.Take(10), Is.EqualTo(new[] { _use }));
    }

    [Test]
    public void No_more_is_taken_than_asked_for()
    {
        for (var i = 0; i < 5; i++)
            _usage.Record(new SecretUse(_held.Id, _held.Key.Current), _held.Token, HeldKey.Start);

        Assert.That(_usage.Take(3), Has.Count.EqualTo(3));
        Assert.That(_usage.Take(3), Has.Count.EqualTo(2));
    }

    [Test]
    public void What_could_not_be_written_is_given_back_and_taken_again()
    {
        Record(1);
        _usage.Return(_usage.Take(10));

        Assert.That(_usage.Take(10), Is.EqualTo(new[] { _use }));
    }

    [Test]
    public void What_is_given_back_is_not_queued_beside_a_use_that_came_meanwhile()
    {
        Record(1);
        var taken = _usage.Take(10);
        Record(2);
        _usage.Return(taken);

        Assert.That(_usage.Take(10), Is.EqualTo(new[] { _use }));
        Assert.That(_use.LastUsedAt, Is.EqualTo(HeldKey.Start.AddMinutes(2)));
    }

    [Test]
    public void A_digest_under_the_current_pepper_is_not_renewed()
    {
        Record(1);

        Assert.That(_use.Renewal, Is.Null);
    }

    [Test]
    public void A_digest_under_a_retired_pepper_is_renewed_under_the_current_one_once()
    {
        var next = HeldKey.PepperOf(2);
        _usage = new UsageLog(new PepperRing(next, HeldKey.PepperOf(1)));
        Record(1);
        var renewal = _use.Renewal;
        Record(2);

        Assert.That(renewal!.Seal.PepperId, Is.EqualTo(next.Id));
        Assert.That(Digest.FixedTimeEquals(renewal.Seal.Digest, new PepperRing(next).Seal(_held.Token).Digest));
        Assert.That(_use.Renewal, Is.SameAs(renewal));
    }

    private void Record(int minutes) => _usage.Record(_use, _held.Token, HeldKey.Start.AddMinutes(minutes));

    [Test]
    public async Task More_secrets_than_may_wait_take_no_more_room_and_are_kept_again_afterwards()
    {
        var usage = new UsageLog(HeldKey.Peppers, capacity: 100);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 1_000; i++)
                usage.Record(new SecretUse(_held.Id, _held.Key.Current), _held.Token, HeldKey.Start);
        })));
        usage.Record(_use, _held.Token, HeldKey.Start);

        var taken = usage.Take(1_000);
        Assert.That(taken, Has.Count.EqualTo(100).And.Not.Contains(_use));
        usage.Record(_use, _held.Token, HeldKey.Start);
        usage.Return(taken);
        Assert.That(usage.Pending, Is.EqualTo(100));
        Assert.That(usage.Take(1), Is.EqualTo(new[] { _use }), "there is room again");
    }
}
