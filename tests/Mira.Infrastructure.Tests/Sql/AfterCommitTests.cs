using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>A change that is committed has happened, whatever fails afterwards.</summary>
public sealed class AfterCommitTests : IDisposable
{
    private Store _store = null!;
    private OtherNode _other = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync();
        _other = new OtherNode(_store);
        await _other.Follower.StartAsync(CancellationToken.None);
        _held = new HeldKey();
        await _store.AddAsync(_held);
    }

    [TearDown]
    public void Dispose()
    {
        _other.Dispose();
        _store.Dispose();
    }

    [Test]
    public async Task A_fault_while_it_is_taken_in_leaves_the_change_done_and_empties_the_caches()
    {
        var warm = await _store.Directory.FindAsync(_held.Id);
        // What comes in between makes this node read on after its own commit.
        await _other.AddAsync(new HeldKey());
        var isSaved = false;
        _store.Saves.BeforeSave = _ =>
        {
            isSaved = true;
            return Task.CompletedTask;
        };
        _store.Watch.Fails = command => isSaved && command.StartsWith("SELECT", StringComparison.Ordinal) ? throw new InvalidOperationException("a fault of the program") : false;

        await _store.ChangeAsync(_held.Id, key => key.Revoke("me", "over", 1, HeldKey.Start));

        _store.Watch.Fails = null;
        Assert.That((await _store.EventsAsync())[^1].Type, Is.EqualTo(EventType.KeyRevoked));
        Assert.That(_store.Changes.Trusts(warm.Id, warm.AsOf), Is.False);
        Assert.That((await _store.Directory.FindAsync(_held.Id)).Key!.RevokedAt, Is.Not.Null, "read again");
        await _store.Follower.CatchUpAsync();
        Assert.That(_store.Follower.Seen.Seq, Is.EqualTo(3));
        Assert.That(_store.Gate.IsWritable);
    }
}
