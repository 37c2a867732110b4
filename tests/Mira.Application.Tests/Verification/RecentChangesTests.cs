using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public class RecentChangesTests
{
    private readonly KeyId _one = KeyId.Generate();
    private readonly KeyId _other = KeyId.Generate();

    [Test]
    public void A_key_that_nothing_happened_to_is_trusted_from_the_floor_on()
    {
        var changes = new RecentChanges();
        changes.Restart(7, "");

        Assert.That(changes.Trusts(_one, 6), Is.False);
        Assert.That(changes.Trusts(_one, 7));
        Assert.That(changes.Trusts(_one, 8));
    }

    [Test]
    public void What_was_read_before_a_change_of_the_key_is_not_trusted_after_it()
    {
        var changes = new RecentChanges();
        changes.Add(5, _one);

        Assert.That(changes.Trusts(_one, 4), Is.False);
        Assert.That(changes.Trusts(_one, 5));
        Assert.That(changes.Trusts(_other, 4), "the change named another key");
    }

    [Test]
    public void The_newest_of_several_changes_counts()
    {
        var changes = new RecentChanges();
        changes.Add(5, _one);
        changes.Add(9, _one);

        Assert.That(changes.Trusts(_one, 8), Is.False);
        Assert.That(changes.Trusts(_one, 9));
    }

    [Test]
    public void Nothing_older_than_a_forgotten_change_is_trusted()
    {
        var changes = new RecentChanges(capacity: 2);
        changes.Add(5, _one);
        changes.Add(6, _other);
        Assert.That(changes.Trusts(KeyId.Generate(), 0), "two fit in");

        changes.Add(7, _other);

        Assert.That(changes.Trusts(_one, 4), Is.False);
        Assert.That(changes.Trusts(KeyId.Generate(), 4), Is.False);
        Assert.That(changes.Trusts(_one, 5), "the forgotten change is in it");
    }

    [Test]
    public void Forgetting_an_older_change_of_a_key_does_not_forget_its_newer_one()
    {
        var changes = new RecentChanges(capacity: 2);
        changes.Add(5, _one);
        changes.Add(6, _one);
        changes.Add(7, _other);

        Assert.That(changes.Trusts(_one, 5), Is.False);
        Assert.That(changes.Trusts(_one, 6));
    }

    [Test]
    public void After_a_restart_the_changes_of_before_do_not_count()
    {
        var changes = new RecentChanges();
        changes.Add(50, _one);
        changes.Restart(3, "");

        Assert.That(changes.Trusts(_one, 3));
        Assert.That(changes.Trusts(_one, 2), Is.False);
    }

    [Test]
    public void After_a_restart_as_many_changes_as_ever_are_remembered()
    {
        var changes = new RecentChanges(capacity: 2);
        changes.Add(1, _one);
        changes.Add(2, _one);
        changes.Restart(2, "");
        changes.Add(3, _other);
        changes.Add(4, _other);

        Assert.That(changes.Trusts(_one, 2), "nothing was forgotten");
    }

    [Test]
    public void A_change_that_is_told_twice_is_remembered_once()
    {
        var changes = new RecentChanges(capacity: 3);
        changes.Add(11, _one);
        changes.Add(10, _other);
        changes.Add(11, _one);
        for (var seq = 12; seq < 20; seq++)
            changes.Add(seq, KeyId.Generate());

        Assert.That(changes.Trusts(_one, 10), Is.False);
        Assert.That(changes.Trusts(_one, 19));
    }

    [Test]
    public void An_older_change_that_is_told_after_a_newer_one_changes_nothing()
    {
        var changes = new RecentChanges(capacity: 2);
        changes.Add(11, _one);
        changes.Add(10, _one);
        changes.Add(12, _other);

        Assert.That(changes.Trusts(KeyId.Generate(), 0), "two fit in");
        Assert.That(changes.Trusts(_one, 10), Is.False);
        Assert.That(changes.Trusts(_one, 11));
    }

    /// <summary>
    /// Whatever comes, in whatever order and however often, is compared with a memory that forgets nothing.
    /// </summary>
    [FsCheck.NUnit.Property(MaxTest = 500, QuietOnSuccess = true)]
    public void Nothing_is_trusted_that_one_who_forgets_nothing_would_not_trust(byte room, byte[] told)
    {
        var capacity = 1 + room % 8;
        var changes = new RecentChanges(capacity);
        KeyId[] keys = [.. Enumerable.Range(0, 4).Select(_ => KeyId.Generate())];
        List<(long Seq, KeyId Id)> all = [];
        // Each seq names one key, as in a ledger; its place in the order of telling is another one.
        foreach (var one in told)
        {
            var change = (Seq: (long)(1 + one % 32), Id: keys[one % 32 % keys.Length]);
            all.Add(change);
            changes.Add(change.Seq, change.Id);
            foreach (var id in keys.Append(_other))
            {
                for (var asOf = 0; asOf <= 33; asOf++)
                {
                    var isTrue = all.TrueForAll(past => past.Id != id || past.Seq <= asOf);
                    if (changes.Trusts(id, asOf))
                        Assert.That(isTrue, $"{id} at {asOf}");
                    else
                        Assert.That(isTrue && all.Count <= capacity, Is.False, $"nothing was forgotten yet: {id} at {asOf}");
                }
            }

            Assert.That(changes.Trusts(_other, all.Max(past => past.Seq)), "what was read after all of them");
        }
    }
}
