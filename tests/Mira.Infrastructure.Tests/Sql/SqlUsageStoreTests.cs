using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Tests.Sql;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
[TestFixture(StoreKind.Airtable)]
public sealed class SqlUsageStoreTests(StoreKind kind) : IDisposable
{
    private Store _store = null!;
    private HeldKey _held = null!;
    private UsageLog _usage = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _held = new HeldKey();
        _usage = new UsageLog(HeldKey.Peppers);
        await _store.AddAsync(_held, new HeldKey());
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task A_use_is_neither_a_version_nor_an_event_and_touches_no_other_key()
    {
        var (head, rest) = (await _store.HeadAsync(), await OthersAsync());

        await UseAsync(5);

        Assert.That(await LastUsedAsync(), Is.EqualTo(HeldKey.Start.AddMinutes(5)));
        Assert.That((await _store.ReadAsync(_held.Id))!.Version, Is.EqualTo(1));
        Assert.That(await _store.HeadAsync(), Is.EqualTo(head));
        Assert.That(await OthersAsync(), Is.EqualTo(rest));
    }

    [Test]
    public async Task The_later_time_wins_in_whichever_order_they_come()
    {
        await UseAsync(5);
        await UseAsync(3);
        Assert.That(await LastUsedAsync(), Is.EqualTo(HeldKey.Start.AddMinutes(5)));

        await UseAsync(6);
        Assert.That(await LastUsedAsync(), Is.EqualTo(HeldKey.Start.AddMinutes(6)));
    }

    [Test]
    public async Task The_use_of_one_secret_is_not_the_use_of_another()
    {
        await _store.ChangeAsync(_held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromHours(1)), HeldKey.Start));

        await UseAsync(5);

        var read = (await _store.ReadAsync(_held.Id))!;
        Assert.That(read.Secrets[0].LastUsedAt, Is.EqualTo(HeldKey.Start.AddMinutes(5)));
        Assert.That(read.Secrets[1].LastUsedAt, Is.Null);
        Assert.That(read.LastUsedAt, Is.EqualTo(HeldKey.Start.AddMinutes(5)));
    }

    [Test]
    public async Task A_change_of_the_key_made_meanwhile_does_not_take_the_use_back()
    {
        await _store.ChangeAsync(async change =>
        {
            var key = (await change.FindKeyAsync(_held.Id))!;
            await change.CountActiveAdminsAsync(key.Id);
            _store.Saves.BeforeSave = database => database.Database.ExecuteSqlAsync($"UPDATE secrets SET last_used_at = {HeldKey.Start.AddMinutes(5).ToUnixTimeMilliseconds()}");
            key.Update(new KeyUpdate { Name = "new" }, 1, change.Now);
        });

        Assert.That(await LastUsedAsync(), Is.EqualTo(HeldKey.Start.AddMinutes(5)));
    }

    [Test]
    public async Task A_digest_under_a_retired_pepper_is_renewed_without_a_version_or_an_event()
    {
        var next = new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1));
        _usage = new UsageLog(next);
        var head = await _store.HeadAsync();
        await _store.Directory.FindAsync(_held.Id);

        await UseAsync(5);

        var read = (await _store.Directory.FindAsync(_held.Id)).Key!;
        Assert.That(read.Current.PepperId, Is.EqualTo(next.Current.Id), "and the cache knows it");
        Assert.That(read.Version, Is.EqualTo(1));
        Assert.That(await _store.HeadAsync(), Is.EqualTo(head));
        Assert.That(read.Verify(_held.Token, new PepperRing(HeldKey.PepperOf(2)), null, HeldKey.Start).IsValid, "the old pepper is not needed any more");
    }

    [Test]
    public async Task A_digest_is_renewed_only_where_the_old_one_is_still_stored()
    {
        var use = await UseOfAsync();
        var other = new PepperRing(HeldKey.PepperOf(3)).Seal(_held.Token);
        await WriteAsync(use, new Renewal(other));

        var late = new SecretUse(_held.Id, use.Secret);
        await WriteAsync(late, new Renewal(new PepperRing(HeldKey.PepperOf(2)).Seal(_held.Token)));

        Assert.That((await _store.ReadAsync(_held.Id))!.Current.PepperId, Is.EqualTo(other.PepperId));
    }

    [Test]
    public async Task A_batch_is_written_whole_or_not_at_all()
    {
        var batch = new[] { await UseOfAsync(), await UseOfAsync() };
        _store.Watch.Fails = sql => sql.Replace("\"", "", StringComparison.Ordinal).Contains("UPDATE secrets SET digest", StringComparison.Ordinal);
        foreach (var use in batch)
            _usage.Record(use, _held.Token, HeldKey.Start.AddMinutes(5));
        batch[1].Renewal = new Renewal(new PepperRing(HeldKey.PepperOf(2)).Seal(_held.Token));

        Assert.That(() => _store.Usage.WriteAsync(_usage.Take(10), CancellationToken.None), Throws.TypeOf<LedgerUnavailableException>());

        Assert.That(await LastUsedAsync(), Is.Null);
    }

    private async Task UseAsync(int minutes)
    {
        _usage.Record(await UseOfAsync(), _held.Token, HeldKey.Start.AddMinutes(minutes));
        await _store.Usage.WriteAsync(_usage.Take(10), CancellationToken.None);
    }

    private Task WriteAsync(SecretUse use, Renewal renewal)
    {
        _usage.Record(use, _held.Token, HeldKey.Start);
        use.Renewal = renewal;
        return _store.Usage.WriteAsync(_usage.Take(10), CancellationToken.None);
    }

    private async Task<SecretUse> UseOfAsync() => new(_held.Id, (await _store.ReadAsync(_held.Id))!.Secrets[0]);

    private async Task<DateTimeOffset?> LastUsedAsync() => (await _store.ReadAsync(_held.Id))!.LastUsedAt;

    private async Task<string> OthersAsync() =>
        string.Join('\n', (await _store.DumpAsync()).Split('\n').Where(line => !line.Contains(_held.Id.Value, StringComparison.Ordinal)));
}
