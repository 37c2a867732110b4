using System.Net;
using Microsoft.Extensions.Time.Testing;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;

namespace Mira.Application.Tests.Ledger;

public class AggregatedEventsTests
{
    private readonly Actor _caller = new(null, null, null, "192.0.2.1", "agent");
    private FakeTimeProvider _clock = null!;
    private AggregatedEvents _events = null!;

    [SetUp]
    public void SetUp()
    {
        _clock = new FakeTimeProvider(HeldKey.Start);
        _events = new AggregatedEvents(_clock);
    }

    [Test]
    public void What_is_alike_becomes_one_event_with_a_count_and_its_first_and_last_time()
    {
        var group = Failed("192.0.2.1");
        _events.Note(group, this, _ => _caller);
        _clock.Advance(TimeSpan.FromSeconds(3));
        _events.Note(group, this, _ => throw new InvalidOperationException("asked again"));
        _clock.Advance(TimeSpan.FromSeconds(1));

        var draft = _events.Take().Single().ToDraft();

        Assert.That(draft.Type, Is.EqualTo("auth.failed"));
        Assert.That((draft.Actor, draft.Reason, draft.Outcome, draft.Subject), Is.EqualTo((_caller, "invalid_key", "failure", (string?)null)));
        Assert.That(draft.Aggregation, Is.EqualTo(new Aggregation(2, HeldKey.Start, HeldKey.Start.AddSeconds(3))));
    }

    [Test]
    public void Type_reason_address_key_and_subject_keep_groups_apart()
    {
        EventGroup[] groups =
        [
            Failed("192.0.2.1"), Failed("192.0.2.2"), Failed("192.0.2.1") with { Reason = "key_expired" }, Failed("192.0.2.1") with { Type = "access.denied" },
            Failed("192.0.2.1") with { Subject = "s" }, Failed("192.0.2.1") with { Key = new HeldKey().Id },
        ];
        foreach (var group in groups.Concat(groups))
            Note(group);

        Assert.That(_events.Take().Select(one => (one.Group, one.Count)), Is.EquivalentTo(groups.Select(group => (group, 2L))));
    }

    [Test]
    public void What_was_taken_is_not_taken_again()
    {
        Note(Failed("192.0.2.1"));
        _events.Take();

        Assert.That(_events.Take(), Is.Empty);
    }

    [Test]
    public void Too_many_groups_of_a_type_are_counted_together_and_take_no_room_from_other_types()
    {
        for (var i = 0; i < 5 * AggregatedEvents.MaximumGroups; i++)
            Note(Failed($"10.0.{i / 250}.{i % 250}"));
        Note(Failed("192.0.2.1") with { Type = "audit.read", Outcome = "success" });

        var taken = _events.Take();

        Assert.That(taken, Has.Count.EqualTo(AggregatedEvents.MaximumGroups + 2));
        var others = taken.Single(one => one.Group.Reason == "others");
        Assert.That(others.Count, Is.EqualTo(4 * AggregatedEvents.MaximumGroups));
        Assert.That(others.Actor, Is.EqualTo(new Actor(null, null, null, null, null)), "nobody is blamed for what others did");
        Assert.That(taken.Single(one => one.Group.Type == "audit.read").ToDraft().Outcome, Is.EqualTo("success"));
    }

    [Test]
    public void What_could_not_be_written_counts_with_what_came_since()
    {
        Note(Failed("192.0.2.1"));
        Note(Failed("192.0.2.2"));
        var taken = _events.Take();
        _clock.Advance(TimeSpan.FromSeconds(10));
        Note(Failed("192.0.2.1"));
        _events.Return(taken);

        var one = _events.Take().Single(gathered => gathered.Group == Failed("192.0.2.1"));

        Assert.That((one.Count, one.FirstAt, one.LastAt), Is.EqualTo((2, HeldKey.Start, HeldKey.Start.AddSeconds(10))));
    }

    [Test]
    public void Given_back_to_full_groups_it_is_still_counted()
    {
        Note(Failed("192.0.2.1"));
        var taken = _events.Take();
        for (var i = 0; i < AggregatedEvents.MaximumGroups; i++)
            Note(Failed($"10.0.0.{i}"));
        _events.Return(taken);

        Assert.That(_events.Take().Sum(one => one.Count), Is.EqualTo(AggregatedEvents.MaximumGroups + 1));
    }

    [Test]
    public void Strangers_who_go_on_coming_get_fewer_events_of_their_own_each_time_and_known_keys_as_many_as_ever()
    {
        var named = new List<int>();
        for (var time = 0; time < 4; time++)
        {
            for (var i = 0; i < 200; i++)
                Note(Failed($"10.{time}.0.{i}"));
            Note(new EventGroup("auth.failed", "key_revoked") { Subject = $"key {time}", Address = IPAddress.Loopback });
            var taken = _events.Take();
            Assert.That(taken.Sum(one => one.Count), Is.EqualTo(201));
            Assert.That(taken.Any(one => one.Group.Subject == $"key {time}"), "strangers crowd nobody out");
            named.Add(taken.Count(one => one.Group.Reason == "invalid_key"));
        }

        Assert.That(named, Is.EqualTo(new[] { AggregatedEvents.MaximumGroups, AggregatedEvents.StrangersEachTime, AggregatedEvents.StrangersEachTime, AggregatedEvents.StrangersEachTime }));
    }

    [Test]
    public void The_first_group_of_each_key_is_kept_apart_whatever_other_keys_do()
    {
        for (var i = 0; i < 3 * AggregatedEvents.MaximumGroups; i++)
            Note(new EventGroup("auth.failed", $"reason {i}") { Subject = "a noisy key" });
        Note(new EventGroup("auth.failed", "key_disabled") { Subject = "the victim" });
        Note(new EventGroup("access.denied", "key_disabled") { Subject = "the victim" });

        var taken = _events.Take();

        Assert.That(taken.Count(one => one.Group.Subject == "the victim"), Is.EqualTo(2));
        Assert.That(taken.Count(one => one.Group.Subject == "a noisy key"), Is.EqualTo(AggregatedEvents.MaximumGroups + 1));
        Assert.That(taken.Sum(one => one.Count), Is.EqualTo(3 * AggregatedEvents.MaximumGroups + 2));
    }

    [Test]
    public void More_keys_than_can_be_kept_apart_are_counted_together()
    {
        const int Keys = 2 * AggregatedEvents.MaximumKeys;
        for (var i = 0; i < Keys; i++)
            Note(new EventGroup("auth.failed", "key_revoked") { Subject = $"key {i}" });

        var taken = _events.Take();

        Assert.That(taken, Has.Count.EqualTo(AggregatedEvents.MaximumKeys + AggregatedEvents.MaximumGroups + 1));
        Assert.That(taken.Sum(one => one.Count), Is.EqualTo(Keys));
        Note(new EventGroup("auth.failed", "key_revoked") { Subject = "the next time" });
        Assert.That(_events.Take().Single().Group.Subject, Is.EqualTo("the next time"), "there is room again");
    }

    [Test]
    public void What_is_given_back_has_room_again()
    {
        for (var i = 0; i < AggregatedEvents.MaximumGroups; i++)
            Note(Failed($"10.0.0.{i}"));
        _events.Return(_events.Take());
        Assert.That(_events.Take().Count(one => one.Group.Reason == "invalid_key"), Is.EqualTo(AggregatedEvents.MaximumGroups));
    }

    [Test]
    public async Task However_many_note_and_take_at_once_nothing_is_lost()
    {
        var counted = 0L;
        var notes = Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++)
                Note(Failed($"10.{thread}.0.{i % 200}"));
        })).ToArray();
        var all = Task.WhenAll(notes);
        while (!all.IsCompleted)
        {
            var taken = _events.Take();
            if (taken.Count % 2 == 0)
                _events.Return(taken);
            else
                counted += taken.Sum(one => one.Count);
            await Task.Yield();
        }

        await all;
        Assert.That(counted + _events.Take().Sum(one => one.Count), Is.EqualTo(80_000));
    }

    private void Note(EventGroup group) => _events.Note(group, this, _ => _caller);

    private static EventGroup Failed(string address) => new("auth.failed", "invalid_key") { Address = IPAddress.Parse(address) };
}
