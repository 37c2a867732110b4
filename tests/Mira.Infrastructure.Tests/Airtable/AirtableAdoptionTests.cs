using Mira.Domain.Keys;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// Keys that one side has and the other does not: a new database beside a filled table, a table that is new to the
/// keys.
/// </summary>
public sealed class AirtableAdoptionTests
{
    private AirtableStoreNode _governed = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _governed = await AirtableStoreNode.StartAsync();
        _held = await _governed.AddAsync();
    }

    [TearDown]
    public Task TearDown() => _governed.DisposeAsync().AsTask();

    [Test]
    public async Task Keys_of_a_store_that_was_another_one_before_get_their_records()
    {
        await _governed.Store.AskAsync("DELETE FROM airtable_rows RETURNING 1");
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        await _governed.Node.Upkeep.AdoptAsync(CancellationToken.None);
        await _governed.RepairAsync();

        Assert.That(await _governed.IsInStepAsync(_held));
        await _governed.SweepAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task An_empty_database_beside_a_filled_table_takes_the_keys_in()
    {
        await _governed.RotateAsync(_held, out var token);
        var revoked = await _governed.AddAsync();
        await _governed.RevokeAsync(revoked);
        var edited = await _governed.AddAsync();
        _governed.Edit(edited, "role", "admin");
        _governed.Table.Duplicate(_governed.RecordIdOf(revoked));
        await using var anew = await _governed.StartAnewAsync();

        await anew.SweepAsync();

        Assert.That(await anew.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await anew.AskAsync(token), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await anew.AskAsync(revoked), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await anew.AskAsync(edited), Is.EqualTo(VerdictCode.InvalidKey), "nobody can vouch for it");
        await anew.RenameAsync(_held, "renamed");
        Assert.That(await anew.IsInStepAsync(_held));
    }

    [Test]
    public async Task Keys_taken_in_are_listed_by_when_they_were_made()
    {
        var names = new List<string>();
        for (var number = 0; number < 5; number++)
        {
            names.Insert(0, $"key {number}");
            await _governed.Store.AddAsync(new HeldKey(new KeyTerms { Name = names[0], Role = Role.Viewer, LifetimeDays = 90 }, HeldKey.Start.AddMinutes(number + 1)));
        }

        await using var anew = await _governed.StartAnewAsync();
        await anew.SweepAsync();

        var found = await anew.Store.Keys.FindAsync(new Sql.KeyFilters().All, CancellationToken.None);
        Assert.That(found.Select(row => row.Key.Name), Is.EqualTo(names.Append("billing")));
    }

    [Test]
    public async Task A_digest_renewed_under_another_pepper_comes_to_the_record_with_a_sweep()
    {
        await _governed.Store.AskAsync("UPDATE secrets SET digest = zeroblob(32) RETURNING version");
        await _governed.Store.SignAsync();

        await _governed.SweepAsync();
        await _governed.RepairAsync();

        Assert.That(await _governed.IsInStepAsync(_held));
    }
}
