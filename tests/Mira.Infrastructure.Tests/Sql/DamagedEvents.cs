using Mira.Application.Audit;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Five events in a store, whose table somebody edits.</summary>
public abstract class DamagedEvents(StoreKind kind) : IDisposable
{
    private protected static readonly EventFilter All = new(null, null, null, null, null, null, 100);

    private protected StoreKind Kind => kind;

    private protected Store Store { get; private set; } = null!;

    [SetUp]
    public async Task SetUp()
    {
        Store = await Store.OpenAsync(Kind);
        for (var count = 0; count < 5; count++)
            await Store.AddAsync(new HeldKey());
    }

    [TearDown]
    public void Dispose()
    {
        Store.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected async Task ExpectOthersAsync()
    {
        var whole = new EventViolations(Store.Follower, Store.AggregatedEvents).LeaveOut(await Store.Reader.FindAsync(All, CancellationToken.None));
        // Where the hash itself or the one before it was edited, the two that hold to it are told apart no more.
        Assert.That(whole.Select(entry => entry.Seq), Is.SupersetOf(new[] { 5L, 4L, 1L }).And.Not.Contains(3L));
        Assert.That(Store.Follower.IsBroken);
        Assert.That(Store.AggregatedEvents.Take().Select(one => (one.Group.Type, one.Group.Reason)), Does.Contain((EventType.IntegrityViolation, EventViolations.Reason)));
        var flaw = await LedgerVerification.CheckAsync(Store.Reader, Store.Archive, () => new ChainProof([Store.AuditKey.Public]), CancellationToken.None);
        Assert.That(flaw?.Seq, Is.EqualTo(3));
    }

    private protected async Task AttackAsync(string[] statements)
    {
        await using var connection = Store.Connect();
        foreach (var statement in statements)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = statement;
            await command.ExecuteNonQueryAsync();
        }
    }
}
