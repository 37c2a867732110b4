using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Two keys in a store, whose tables somebody edits who has no pepper.</summary>
public abstract class ForgedRows(StoreKind kind) : IDisposable
{
    private protected Store Store { get; private set; } = null!;

    private protected HeldKey Held { get; private set; } = null!;

    private protected HeldKey Other { get; private set; } = null!;

    [SetUp]
    public async Task SetUp()
    {
        Store = await Store.OpenAsync(kind);
        Held = new HeldKey(Role.Viewer, owner: "team");
        Other = new HeldKey(Role.Admin, name: "admin");
        await Store.AddAsync(Held);
        await Store.AddAsync(Other);
    }

    [TearDown]
    public void Dispose()
    {
        Store.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected async Task ExpectThatAnUnreadableRowHoldsUpNoOtherAsync(string attack)
    {
        await Store.AddAsync(new HeldKey(Role.Viewer, name: "last"));
        await AttackAsync(attack);

        await ExpectDoubtedAsync(Held, RowViolations.Forged);
        await ExpectBelievedAsync(Other);
        var all = await Store.Keys.FindAsync(new KeyFilters().All, CancellationToken.None);
        Assert.That(all.Select(row => (row.Seq, row.Key.IsDoubted)), Is.EqualTo(new[] { (3L, false), (2L, false), (1L, true) }));
        await Store.ChangeAsync(Held.Id, key => Assert.That(key.IsDoubted));
        await Store.ChangeAsync(async change => Assert.That(await change.CountActiveAdminsAsync(Held.Id), Is.EqualTo(1)));
        await Store.Usage.WriteAsync([RenewalOf(Held), RenewalOf(Other)], CancellationToken.None);
        Assert.That((await Store.ReadAsync(Other.Id))!.Current.PepperId, Is.EqualTo(HeldKey.PepperOf(2).Id));
    }

    private protected SecretUse RenewalOf(HeldKey held) => new(held.Id, held.Key.Current) { Renewal = new Renewal(new PepperRing(HeldKey.PepperOf(2)).Seal(held.Token)) };

    private protected async Task AttackAsync(params string[] statements)
    {
        await using var connection = Store.Connect();
        foreach (var statement in statements)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = statement.Replace("{0}", Held.Id.Value, StringComparison.Ordinal).Replace("{1}", Other.Id.Value, StringComparison.Ordinal);
            await command.ExecuteNonQueryAsync();
        }
    }

    private protected async Task ExpectDoubtedAsync(HeldKey held, string finding)
    {
        var read = await Store.ReadAsync(held.Id);
        Assert.That(read?.IsDoubted, Is.True);
        Assert.That(read!.Verify(held.Token, HeldKey.Peppers, null, HeldKey.Start).IsValid, Is.False);
        Assert.That(read.IsActiveAdmin(HeldKey.Start), Is.False);
        Assert.That(Store.Findings.Find(held.Id), Is.EqualTo(finding));
        Assert.That(Store.AggregatedEvents.Take().Select(one => (one.Group.Reason, one.Group.Subject)), Does.Contain((finding, held.Id.Value)));
        Assert.That((await Store.Keys.FindAsync(new KeyFilters().All, CancellationToken.None)).Where(row => row.Key.IsDoubted).Select(row => row.Key.Id), Does.Contain(held.Id));
    }

    private protected async Task ExpectBelievedAsync(HeldKey held) => Assert.That((await Store.ReadAsync(held.Id))!.IsDoubted, Is.False);
}
