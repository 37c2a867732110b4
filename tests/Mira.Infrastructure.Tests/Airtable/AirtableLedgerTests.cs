using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>Changes that get through, that surely do not, and those whose fate nobody knows.</summary>
public sealed class AirtableLedgerTests
{
    private static readonly AirtableFault[] AfterFaults =
        [AirtableFault.ErrorAfter, AirtableFault.UnavailableAfter, AirtableFault.ResetAfter, AirtableFault.TruncatedAfter, AirtableFault.HugeAfter, AirtableFault.HtmlAfter];

    private static readonly AirtableFault[] NeverFaults = [AirtableFault.Error, AirtableFault.BadGateway, AirtableFault.Reset, AirtableFault.Redirect];

    private AirtableStoreNode _governed = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _governed = await AirtableStoreNode.StartAsync();
        _held = await _governed.AddAsync(Role.Admin);
    }

    [TearDown]
    public Task TearDown() => _governed.DisposeAsync().AsTask();

    [Test]
    public async Task Whatever_is_done_to_a_key_is_in_its_record_when_it_is_answered()
    {
        await _governed.AddAsync(Role.Admin);
        Assert.That(await _governed.IsInStepAsync(_held));
        await _governed.RotateAsync(_held, out var token);
        Assert.That(await _governed.IsInStepAsync(_held));
        await _governed.RenameAsync(_held, "renamed");
        Assert.That(await _governed.IsInStepAsync(_held));
        await _governed.RevokeAsync(_held);
        Assert.That(await _governed.IsInStepAsync(_held));

        Assert.That(await _governed.AskAsync(token), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.CountIntentsAsync(), Is.Zero);
        Assert.That(_governed.Table.Snapshot(), Has.Count.EqualTo(2));
        Assert.That((await _governed.Store.EventsAsync()).Select(entry => entry.Type), Is.EqualTo(new[]
        {
            EventType.KeyCreated, EventType.KeyCreated, EventType.KeyRotated, EventType.KeyUpdated, EventType.KeyRevoked,
        }), "each change is in the ledger once");
    }

    [Test]
    public async Task A_record_is_not_believed_before_it_has_its_MAC()
    {
        var second = _governed.Server.Hold(call => call is { Method: "PATCH", IsUpsert: false });
        var adding = _governed.AddAsync(name: "half made");
        await second.Arrived;
        await using (var anew = await _governed.StartAnewAsync())
        {
            await anew.SweepAsync();
            var id = KeyId.TryParse((string?)_governed.Table.Snapshot()[^1].Fields["key_id"], out var parsed) ? parsed : default;
            Assert.That(await anew.Store.ReadAsync(id), Is.Null);
        }

        await second.ReleaseAsync();
        Assert.That(await _governed.IsInStepAsync(await adding));
    }

    [Test]
    public async Task After_the_record_was_made_it_is_only_ever_patched_by_its_id()
    {
        await _governed.RenameAsync(_held, "renamed");
        await _governed.RevokeAsync(await _governed.AddAsync());

        Assert.That(_governed.Server.Calls.Select(call => call.Method).Where(method => method is not "GET").Distinct(), Is.EqualTo(new[] { "POST", "PATCH" }), "the table itself is posted");
        Assert.That(_governed.Server.Calls.Count(call => call.IsUpsert), Is.EqualTo(2));
        Assert.That(_governed.Server.Calls.Select(call => call.Query), Has.None.Contains(_held.Id.Value), "no formula is made of anything");
    }

    [Test]
    public async Task Too_many_calls_refuse_a_change_with_the_time_to_wait_and_nothing_has_changed()
    {
        _governed.Server.Faults.Next(AirtableFault.TooMany);
        var before = await _governed.Store.DumpAsync();

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => _governed.RenameAsync(_held, "renamed"));

        Assert.That(refusal!.RetryAfter, Is.GreaterThan(TimeSpan.Zero));
        Assert.That(await _governed.Store.DumpAsync(), Is.EqualTo(before));
        Assert.That(await _governed.CountIntentsAsync(), Is.Zero);
    }

    [Test]
    public async Task Without_a_connection_a_change_is_refused_and_surely_did_not_happen()
    {
        await _governed.Server.DisposeAsync();
        var before = await _governed.Store.DumpAsync();

        Assert.That(() => _governed.RevokeAsync(_held), Throws.TypeOf<StoreUnavailableException>());

        Assert.That(await _governed.Store.DumpAsync(), Is.EqualTo(before));
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await _governed.CountIntentsAsync(), Is.Zero);
    }

    [Test]
    public async Task A_revocation_nobody_knows_the_fate_of_is_completed([ValueSource(nameof(AllFaults))] AirtableFault fault)
    {
        _governed.Server.Faults.Always(fault, call => call.IsWrite);

        Assert.That(() => _governed.RevokeAsync(_held), Throws.TypeOf<StoreUnavailableException>());

        _governed.Server.Faults.Clear();
        await _governed.SettleAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.EventsAsync(EventType.KeyRevoked), Has.Count.EqualTo(1));
        await RecoverAsync();
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [Test]
    public async Task A_rotation_nobody_knows_the_fate_of_is_undone([ValueSource(nameof(AllFaults))] AirtableFault fault)
    {
        _governed.Server.Faults.Always(fault, call => call.IsWrite);
        Domain.Tokens.Token token = default;

        Assert.That(() => _governed.RotateAsync(_held, out token), Throws.TypeOf<StoreUnavailableException>());

        _governed.Server.Faults.Clear();
        await _governed.SettleAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await _governed.AskAsync(token), Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That((await _governed.EventsAsync(EventType.KeyRotated)).Single().Body, Does.Contain("\"outcome\":\"undone\""));
        await RecoverAsync();
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [Test]
    public async Task A_creation_nobody_knows_the_fate_of_is_undone_and_leaves_no_record([ValueSource(nameof(AllFaults))] AirtableFault fault)
    {
        var made = new HeldKey();
        _governed.Server.Faults.Always(fault, call => call.IsWrite && (fault != AirtableFault.ResetAfter || !call.IsUpsert));

        Assert.That(() => _governed.Store.AddAsync(made), Throws.TypeOf<StoreUnavailableException>());

        _governed.Server.Faults.Clear();
        await _governed.SettleAsync();
        await RecoverAsync();
        Assert.That(await _governed.AskAsync(made), Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That(_governed.Table.Snapshot().Select(row => (string?)row.Fields["key_id"]), Is.EqualTo(new[] { _held.Id.Value }));
        await _governed.AddAsync();
    }

    [Test]
    public async Task An_update_that_had_arrived_is_taken([ValueSource(nameof(AfterFaults))] AirtableFault fault)
    {
        _governed.Server.Faults.Always(fault, call => call.IsWrite);

        Assert.That(() => _governed.RenameAsync(_held, "renamed"), Throws.TypeOf<StoreUnavailableException>());

        _governed.Server.Faults.Clear();
        await RecoverAsync();
        Assert.That((await _governed.Store.ReadAsync(_held.Id))!.Name, Is.EqualTo("renamed"));
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [Test]
    public async Task An_update_that_had_not_arrived_is_undone([ValueSource(nameof(NeverFaults))] AirtableFault fault)
    {
        _governed.Server.Faults.Always(fault, call => call.IsWrite);

        Assert.That(() => _governed.RenameAsync(_held, "renamed"), Throws.TypeOf<StoreUnavailableException>());

        _governed.Server.Faults.Clear();
        await RecoverAsync();
        Assert.That((await _governed.Store.ReadAsync(_held.Id))!.Name, Is.EqualTo("billing"));
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [Test]
    public async Task Until_a_change_is_settled_the_key_takes_no_other_and_others_do()
    {
        _governed.Server.Faults.Always(AirtableFault.ResetAfter, call => call.IsWrite);
        Assert.That(() => _governed.RenameAsync(_held, "renamed"), Throws.TypeOf<StoreUnavailableException>());
        _governed.Server.Faults.Clear();

        Assert.That(() => _governed.RenameAsync(_held, "again"), Throws.TypeOf<StoreUnavailableException>().With.Message.Contains("resolved"));
        await _governed.ReachAsync();
        await _governed.AddAsync();
        await RecoverAsync();
        await _governed.RenameAsync(_held, "again");

        Assert.That((await _governed.Store.ReadAsync(_held.Id))!.Name, Is.EqualTo("again"));
    }

    [Test]
    public async Task Changes_of_one_key_at_once_come_one_after_the_other()
    {
        _governed.Node.WaitLong();
        await Task.WhenAll(Enumerable.Range(0, 5).Select(number => Task.Run(() => _governed.RenameAsync(_held, $"name {number}"))));

        Assert.That((await _governed.Store.ReadAsync(_held.Id))!.Version, Is.EqualTo(6));
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [Test]
    public async Task Two_admins_whose_ends_are_on_their_way_do_not_vouch_for_each_other()
    {
        var other = await _governed.AddAsync(Role.Admin);
        var call = _governed.Server.Hold(arrived => arrived.IsWrite);
        var revoking = DemandAndRevokeAsync(other);
        await call.Arrived;

        Assert.That(() => DemandAndRevokeAsync(_held), Throws.TypeOf<LastAdminException>());

        await call.ReleaseAsync();
        await revoking;
    }

    [Test]
    public async Task A_repeat_waits_for_the_first_and_gets_its_answer()
    {
        _governed.Node.WaitLong();
        var repeat = new IdempotentRequest("mira_key_000000000001", "once", "ab");
        var call = _governed.Server.Hold(arrived => arrived.IsUpsert);
        var first = AddOnceAsync(repeat);
        await call.Arrived;
        var second = AddOnceAsync(repeat);
        await call.ReleaseAsync();

        Assert.That((await first, await second), Is.EqualTo(("made", "repeated")));
        Assert.That(_governed.Table.Snapshot(), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task What_a_process_left_behind_that_was_killed_is_settled_by_the_next_one()
    {
        var call = _governed.Server.Hold(arrived => arrived.IsWrite);
        var revoking = _governed.RevokeAsync(_held);
        await call.Arrived;
        using var next = await _governed.RestartAsync();

        await next.Upkeep.SettleAsync(CancellationToken.None);

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        await call.ReleaseAsync();
        Assert.That(() => revoking, Throws.TypeOf<StoreUnavailableException>(), "it was taken for gone");
        Assert.That(await _governed.EventsAsync(EventType.KeyRevoked), Has.Count.EqualTo(1));
    }

    private static IEnumerable<AirtableFault> AllFaults() => AfterFaults.Concat(NeverFaults);

    private async Task DemandAndRevokeAsync(HeldKey admin) => await _governed.Store.ChangeAsync(async change =>
        (await change.FindKeyAsync(admin.Id))!.Revoke("me", null, await change.CountActiveAdminsAsync(admin.Id), change.Now));

    private Task<string> AddOnceAsync(IdempotentRequest repeat) => Task.Run(() => _governed.Store.Ledger.ChangeAsync(
        async change =>
        {
            if (await change.FindAnswerAsync(repeat) is not null)
                return "repeated";
            change.Add(new HeldKey().Key);
            change.Remember(repeat, "{}");
            return "made";
        },
        CancellationToken.None));

    /// <summary>All that goes on beside the calls, until nothing is left to do.</summary>
    private async Task RecoverAsync()
    {
        await _governed.ReachAsync();
        await _governed.SettleAsync();
        await _governed.SweepAsync();
        await _governed.RepairAsync();
        Assert.That(await _governed.CountIntentsAsync(), Is.Zero);
    }
}
