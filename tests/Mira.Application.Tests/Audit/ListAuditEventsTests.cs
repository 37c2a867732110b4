using Mira.Application.Audit;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Application.Tests.Audit;

public sealed class ListAuditEventsTests : IDisposable
{
    private static readonly ListAuditEvents All = new(null, null, null, null, null, null, null);

    private readonly AggregatedEvents _gathered = new(TimeProvider.System);

    private FakeLedgerReader _ledger = null!;
    private LedgerPoller _follower = null!;
    private EventViolations _edited = null!;

    [SetUp]
    public void SetUp()
    {
        _ledger = new FakeLedgerReader();
        var changes = new RecentChanges();
        _follower = new LedgerPoller(
            _ledger, changes, new KeyCache(new FakeKeyStore(), changes, new KeyCacheOptions { CacheSize = 100 }), new LedgerPollerOptions(), TimeProvider.System);
        _edited = new EventViolations(_follower, _gathered);
    }

    [TearDown]
    public void Dispose() => _follower.Dispose();

    [Test]
    public async Task An_event_that_is_not_what_was_hashed_is_not_given_out()
    {
        for (var i = 0; i < 4; i++)
            _ledger.Append();
        _ledger.Edit(2, entry => entry with { Body = entry.Body.Replace("success", "failure", StringComparison.Ordinal) });

        var page = await SendAsync(All with { Limit = "2", Cursor = Cursor.Write("e", 4) });
        await SendAsync(All);

        Assert.That((page.Events.Select(entry => entry.Seq), page.NextCursor), Is.EqualTo((new[] { 3L }, Cursor.Write("e", 2))));
        Assert.That(_follower.IsBroken);
        var told = _gathered.Take().Single(one => one.Group.Type == EventType.IntegrityViolation);
        Assert.That((told.Group.Reason, told.Count), Is.EqualTo((EventViolations.Reason, 1L)), "once");
    }

    [Test]
    public async Task An_event_that_was_hashed_again_is_not_given_out_beside_its_successor()
    {
        for (var i = 0; i < 3; i++)
            _ledger.Append();
        _ledger.Edit(2, entry => LedgerEvent.Append(new LedgerPosition(1, entry.PreviousHash), entry.At, new PendingEvent(EventType.KeyCreated, Actor.System, null, null)));

        Assert.That((await SendAsync(All)).Events.Select(entry => entry.Seq), Is.EqualTo(new[] { 3L, 1L }));
    }

    [Test]
    public void An_event_is_shown_as_it_was_hashed()
    {
        var actor = new Actor("mira_key_000000000001", "ops", "admin", "203.0.113.7", "curl/8");
        var draft = new PendingEvent(EventType.KeyUpdated, actor, "mira_key_000000000002", "abc")
        {
            Reason = "tidy",
            Changes =
            [
                FieldChange.Of("name", "a", "b"), FieldChange.Of("rate_limit_per_minute", null, 5), FieldChange.Of("disabled", false, true),
                FieldChange.Of("permissions", [], ["a:b"]),
            ],
        };
        var entry = LedgerEvent.Append(new LedgerPosition(6, new string('a', 64)), HeldKey.Start.AddMilliseconds(5), draft);

        var view = Views.Mapper.Map<AuditEventView>(entry);

        Assert.That((view.V, view.Seq, view.At, view.Type), Is.EqualTo((1, 7L, HeldKey.Start.AddMilliseconds(5), "key.updated")));
        Assert.That(view.Actor, Is.EqualTo(new ActorView("mira_key_000000000001", "ops", "admin", "203.0.113.7", "curl/8")));
        Assert.That((view.Subject, view.Outcome, view.Reason, view.CorrelationId), Is.EqualTo(("mira_key_000000000002", "success", "tidy", "abc")));
        Assert.That((view.Count, view.FirstAt, view.LastAt), Is.EqualTo(((long?)null, (DateTimeOffset?)null, (DateTimeOffset?)null)));
        Assert.That((view.PrevHash, view.Hash), Is.EqualTo((new string('a', 64), entry.Hash)));
        Assert.That(view.Changes!.Keys, Is.EquivalentTo(new[] { "name", "rate_limit_per_minute", "disabled", "permissions" }));
        Assert.That(view.Changes["name"].From!.GetValue<string>(), Is.EqualTo("a"));
        Assert.That(view.Changes["rate_limit_per_minute"].From, Is.Null);
        Assert.That(view.Changes["rate_limit_per_minute"].To!.GetValue<int>(), Is.EqualTo(5));
        Assert.That(view.Changes["disabled"].To!.GetValue<bool>());
        Assert.That(view.Changes["permissions"].To!.ToJsonString(), Is.EqualTo("""["a:b"]"""));
    }

    [Test]
    public void An_event_that_changed_nothing_shows_no_changes()
    {
        var view = Views.Mapper.Map<AuditEventView>(FakeLedgerReader.Next(LedgerPosition.Start, null, EventType.SystemStarted));

        Assert.That(view.Changes, Is.Null);
        Assert.That(view.Actor, Is.EqualTo(new ActorView(null, "system", null, null, null)));
    }

    [Test]
    public void A_field_beside_the_body_is_not_shown()
    {
        var honest = FakeLedgerReader.Next(LedgerPosition.Start, null, EventType.SystemStarted);

        Assert.That(Views.Mapper.Map<AuditEventView>(honest with { Type = EventType.SystemStopped }).Type, Is.EqualTo(EventType.SystemStarted));
    }

    [Test]
    public async Task Pages_follow_each_other_newest_first_until_the_last()
    {
        for (var i = 0; i < 5; i++)
            _ledger.Append();

        var seen = new List<long>();
        string? cursor = null;
        do
        {
            var page = await SendAsync(All with { Limit = "2", Cursor = cursor });
            Assert.That(page.Events, Has.Count.LessThanOrEqualTo(2));
            seen.AddRange(page.Events.Select(view => view.Seq));
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        Assert.That(seen, Is.EqualTo(new[] { 5, 4, 3, 2, 1 }));
    }

    [Test]
    public async Task A_page_that_is_just_full_is_the_last()
    {
        _ledger.Append();
        _ledger.Append();

        Assert.That((await SendAsync(All with { Limit = "2" })).NextCursor, Is.Null);
    }

    [Test]
    public async Task What_is_asked_for_is_passed_on()
    {
        await SendAsync(new ListAuditEvents(
            "key.rotated", "mira_key_000000000001", "mira_key_000000000002", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00", "7", null));

        Assert.That(_ledger.LastFilter, Is.EqualTo(new EventFilter(
            "key.rotated", "mira_key_000000000001", "mira_key_000000000002",
            new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero), new DateTimeOffset(2026, 1, 31, 10, 0, 0, 500, TimeSpan.Zero), null, 8)));
    }

    [TestCase("2026-01-31T12:00:00Z")]
    [TestCase("2026-01-31T12:00:00.123Z")]
    [TestCase("2026-01-31T12:00:00.1234567+02:00")]
    [TestCase("2026-01-31T12:00:00-02:00")]
    public void A_time_with_its_zone_is_taken(string time) => Assert.That(Failures(All with { From = time, To = time }), Is.Empty);

    [TestCase("")]
    [TestCase("yesterday")]
    [TestCase("2026-01-31")]
    [TestCase("2026-01-31T12:00:00")]
    [TestCase("2026-01-31 12:00:00Z")]
    [TestCase("2026-02-30T12:00:00Z")]
    [TestCase("2026-01-31T24:00:00Z")]
    [TestCase("0001-01-01T00:00:00+14:00")]
    [TestCase(" 2026-01-31T12:00:00Z")]
    public void Another_time_is_refused(string time)
    {
        Assert.That(Failures(All with { From = time }), Is.EqualTo(new[] { "From" }));
        Assert.That(Failures(All with { To = time }), Is.EqualTo(new[] { "To" }));
    }

    [Test]
    public void What_is_not_well_formed_is_named()
    {
        Assert.That(Failures(All with { Type = "key.lost" }), Is.EqualTo(new[] { "Type" }));
        Assert.That(Failures(All with { KeyId = "mira_key_short" }), Is.EqualTo(new[] { "KeyId" }));
        Assert.That(Failures(All with { Actor = "system" }), Is.EqualTo(new[] { "Actor" }));
        Assert.That(Failures(All with { Limit = "201" }), Is.EqualTo(new[] { "Limit" }));
        Assert.That(Failures(All with { Cursor = Cursor.Write("k", 1) }), Is.EqualTo(new[] { "Cursor" }));
        Assert.That(Failures(All with { Type = "key.rotated", KeyId = "mira_key_000000000001", Cursor = Cursor.Write("e", 1) }), Is.Empty);
    }

    private static string[] Failures(ListAuditEvents message)
    {
        var errors = new ListAuditEventsValidator().Validate(message).Errors;
        Assert.That(errors.Select(error => error.ErrorCode), Is.All.EqualTo(KeyInput.InvalidParameter));
        return [.. errors.Select(error => error.PropertyName)];
    }

    private Task<AuditEventPage> SendAsync(ListAuditEvents message) =>
        new ListAuditEventsHandler(_ledger, _edited, Views.Mapper, new AggregatedEvents(TimeProvider.System), new AuditScope()).Handle(message, CancellationToken.None);

    [Test]
    public async Task More_edited_events_than_are_told_of_take_no_more_room()
    {
        var edited = new EventViolations(_follower, _gathered, most: 10);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(() =>
        {
            for (var seq = 0; seq < 10_000; seq++)
                edited.Report((thread * 10_000) + seq);
        })));

        // Threads that come upon the last ones at once may each tell of one more.
        Assert.That(_gathered.Take().Single(one => one.Group.Reason == EventViolations.Reason).Count, Is.InRange(10, 18));
        Assert.That(_follower.IsBroken);
    }
}
