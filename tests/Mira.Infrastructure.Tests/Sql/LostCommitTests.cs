using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>
/// The connection is lost while a change is committed: what happened is found out, and nothing is done twice.
/// </summary>
public sealed class LostCommitTests : IDisposable
{
    private Store _near = null!;
    private TcpProxy _proxy = null!;
    private Store _node = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _near = await Store.OpenAsync(StoreKind.Postgres);
        _held = new HeldKey();
        await _near.AddAsync(_held);
        _proxy = TcpProxy.Start((await SharedPostgres.ServerAsync()).Port);
        _node = await Store.JoinAsync($"{_near.Address};Port={_proxy.Port}");
    }

    [TearDown]
    public void Dispose()
    {
        _node.Dispose();
        _proxy.Dispose();
        _near.Dispose();
    }

    [Test]
    public async Task A_commit_that_arrived_has_happened_once_and_gives_its_result()
    {
        var seen = AtCommit(Passage.PassAndCut);

        Assert.That(await RotateAsync(), Is.EqualTo(2));

        Assert.That(seen(), Is.EqualTo(2), "the lost one, and the one that shows that it has reached every synchronous standby");
        await ExpectAsync(version: 2, events: 2);
        Assert.That(_node.Gate.IsWritable);
        Assert.That((await _node.Directory.FindAsync(_held.Id)).Key!.Version, Is.EqualTo(2), "and the cache knows it");
    }

    [Test]
    public async Task A_commit_whose_answer_was_lost_has_happened_once_and_gives_its_result()
    {
        var cut = 0;
        var isCommitted = false;
        _proxy.Inspect = (flow, bytes) =>
        {
            isCommitted |= flow == Flow.ToServer && IsCommit(bytes);
            return flow == Flow.ToClient && isCommitted && Interlocked.Increment(ref cut) == 1 ? Passage.Cut : Passage.Pass;
        };

        Assert.That(await RotateAsync(), Is.EqualTo(2));

        await ExpectAsync(version: 2, events: 2);
    }

    [Test]
    public async Task A_commit_that_did_not_arrive_has_not_happened()
    {
        AtCommit(Passage.Cut);

        var refused = (await Assert.ThrowsAsync<LedgerUnavailableException>(RotateAsync))!;

        Assert.That(refused.IsUndecided, Is.False);
        await ExpectAsync(version: 1, events: 1);
        Assert.That(await RotateAsync(), Is.EqualTo(2), "and can be done again");
        await ExpectAsync(version: 2, events: 2);
    }

    [Test]
    public async Task A_commit_still_on_its_way_is_waited_for()
    {
        // A trigger that runs within the commit waits for a lock the test holds.
        await _near.AskAsync(
            """
            CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON ledger DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
            """);
        await using var holder = _near.Connect();
        await using var holding = await holder.BeginTransactionAsync();
        await using var command = holder.CreateCommand();
        command.CommandText = "SELECT pg_advisory_xact_lock(7)";
        await command.ExecuteNonQueryAsync();
        var asksAgain = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        AtCommit(Passage.PassAndCut, then: bytes =>
        {
            if (bytes.Span.IndexOf("FOR UPDATE"u8) >= 0)
                asksAgain.TrySetResult();
        });

        var rotating = RotateAsync();
        await asksAgain.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.That(rotating.IsCompleted, Is.False);
        await holding.RollbackAsync();

        Assert.That(await rotating, Is.EqualTo(2));
        await ExpectAsync(version: 2, events: 2);
    }

    [Test]
    public async Task What_others_commit_right_after_it_does_not_hide_it()
    {
        var added = new HeldKey();
        Task? others = null;
        AtCommit(Passage.PassAndCut, then: _ => others ??= _near.AddAsync(added));

        Assert.That(await RotateAsync(), Is.EqualTo(2));

        await others!;
        Assert.That((await _near.EventsAsync()).Select(entry => entry.Type), Is.EquivalentTo(new[] { "key.created", "key.rotated", "key.created" }));
        Assert.That((await _near.ReadAsync(_held.Id))!.Version, Is.EqualTo(2));
    }

    [Test]
    public async Task What_cannot_be_found_out_is_said_to_be_unknown()
    {
        AtCommit(Passage.PassAndCut, then: _ => { }, refuseAfter: true);
        var started = TimeProvider.System.GetTimestamp();

        var refused = (await Assert.ThrowsAsync<LedgerUnavailableException>(RotateAsync))!;

        Assert.That(refused.IsUndecided);
        Assert.That(TimeProvider.System.GetElapsedTime(started), Is.LessThan(TimeSpan.FromSeconds(8)));
        Assert.That(_node.Gate.IsWritable, Is.False);
        _proxy.Refuses = false;
        await _node.Follower.CatchUpAsync();
        Assert.That((await _node.Directory.FindAsync(_held.Id)).Key!.Version, Is.EqualTo(2), "it is followed like another node's");
    }

    [Test]
    public async Task An_idempotency_key_is_remembered_with_a_commit_whose_answer_was_lost()
    {
        var repeat = new IdempotentRequest("mira_key_000000000001", "once", "ab");
        AtCommit(Passage.PassAndCut);
        await _node.ChangeAsync(change =>
        {
            change.Add(new HeldKey().Key);
            change.Remember(repeat, "{}");
            return Task.CompletedTask;
        });

        await _near.ChangeAsync(async change => Assert.That(await change.FindAnswerAsync(repeat), Is.Not.Null));
    }

    [Test]
    public async Task An_intent_whose_commit_was_answered_by_nobody_is_found_and_carried_out()
    {
        await GovernAsync();
        AtCommit(Passage.PassAndCut);

        Assert.That(await RotateAsync(), Is.EqualTo(2));

        Assert.That((await _near.ReadAsync(_held.Id))!.Version, Is.EqualTo(2));
        Assert.That(await _near.AskAsync("SELECT count(*) FROM airtable_intents"), Is.Zero);
    }

    [Test]
    public async Task An_intent_that_cannot_be_asked_for_may_be_carried_out_later_and_is_said_to_be_unknown()
    {
        await GovernAsync();
        AtCommit(Passage.PassAndCut, refuseAfter: true);

        var refused = (await Assert.ThrowsAsync<LedgerUnavailableException>(RotateAsync))!;

        Assert.That(refused.IsUndecided);
        Assert.That(await _near.AskAsync("SELECT count(*) FROM airtable_intents"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_change_that_is_in_Airtable_and_not_committed_is_not_said_to_have_not_happened()
    {
        await GovernAsync();
        await _near.AskAsync(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
            CREATE TRIGGER refuses BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION refuse();
            SELECT 1;
            """);

        var refused = (await Assert.ThrowsAsync<LedgerUnavailableException>(RotateAsync))!;

        Assert.That(refused.IsUndecided);
    }

    private async Task GovernAsync()
    {
        await _node.GovernAsync();
        await _node.Airtable!.Lease.HoldAsync(CancellationToken.None);
        await _node.Airtable.Watch.SweepAsync(int.MaxValue, CancellationToken.None);
        await _node.Airtable.Upkeep.AdoptAsync(CancellationToken.None);
        await _node.Airtable.Upkeep.RepairAsync(CancellationToken.None);
    }

    /// <summary>Does this to the first commit, and tells how many there were.</summary>
    private Func<int> AtCommit(Passage passage, Action<ReadOnlyMemory<byte>>? then = null, bool refuseAfter = false)
    {
        var commits = 0;
        _proxy.Inspect = (flow, bytes) =>
        {
            if (flow == Flow.ToServer && IsCommit(bytes) && Interlocked.Increment(ref commits) == 1)
            {
                _proxy.Refuses = refuseAfter;
                return passage;
            }

            if (flow == Flow.ToServer && commits > 0)
                then?.Invoke(bytes);
            return Passage.Pass;
        };
        return () => commits;
    }

    // With its end, because READ COMMITTED is said at the beginning.
    private static bool IsCommit(ReadOnlyMemory<byte> bytes) => bytes.Span.IndexOf("COMMIT\0"u8) >= 0;

    private Task<int> RotateAsync() => _node.Ledger.ChangeAsync(
        async change =>
        {
            var key = (await change.FindKeyAsync(_held.Id))!;
            key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromMinutes(5)), change.Now);
            return key.Version;
        },
        CancellationToken.None);

    private async Task ExpectAsync(int version, int events)
    {
        Assert.That((await _near.ReadAsync(_held.Id))!.Version, Is.EqualTo(version));
        Assert.That(await _near.EventsAsync(), Has.Count.EqualTo(events));
        Assert.That((await _near.HeadAsync()).Seq, Is.EqualTo(events));
    }
}
