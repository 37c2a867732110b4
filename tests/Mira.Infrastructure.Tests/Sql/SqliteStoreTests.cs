using Microsoft.EntityFrameworkCore;
using Mira.Application.Settings;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Tests.Sql;

public sealed class SqliteStoreTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private Store _store = null!;

    [SetUp]
    public async Task SetUp() => _store = await Store.ClosedAsync();

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task A_new_database_has_a_ledger_that_begins()
    {
        await OpenAsync();

        Assert.That((await _store.HeadAsync()).Seq, Is.Zero);
        Assert.That(await _store.EventsAsync(), Is.Empty);
    }

    [Test]
    public async Task Opening_it_again_changes_nothing()
    {
        await OpenAsync();
        await _store.AddAsync(new HeldKey());
        var before = await _store.DumpAsync();

        await OpenAsync();

        Assert.That(await _store.DumpAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task It_writes_ahead_and_every_connection_syncs_each_commit()
    {
        await OpenAsync();
        for (var i = 0; i < 3; i++)
        {
            await using var one = _store.CreateDbContext();
            await using var other = _store.CreateDbContext();
            foreach (var database in new[] { one, other })
            {
                await database.Database.OpenConnectionAsync();
                Assert.That(await AskAsync(database, "journal_mode"), Is.EqualTo("wal"));
                Assert.That(await AskAsync(database, "synchronous"), Is.EqualTo("2"), "FULL");
                Assert.That(await AskAsync(database, "foreign_keys"), Is.EqualTo("1"));
            }
        }
    }

    [Test]
    public async Task Its_files_are_readable_by_their_owner_alone()
    {
        await OpenAsync();
        await _store.AddAsync(new HeldKey());

        var files = Directory.GetFiles(_store.Folder.Path);
        Assert.That(files.Select(Path.GetFileName), Is.SupersetOf(new[] { "mira.db", "mira.db-wal" }));
        Assert.That(files.Select(File.GetUnixFileMode), Is.All.EqualTo(OwnerOnly));
    }

    [Test]
    public async Task A_database_that_others_could_read_is_closed_to_them()
    {
        await File.WriteAllBytesAsync(_store.Folder.Database, []);
        File.SetUnixFileMode(_store.Folder.Database, OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

        await OpenAsync();

        Assert.That(File.GetUnixFileMode(_store.Folder.Database), Is.EqualTo(OwnerOnly));
    }

    [Test]
    public async Task A_migration_lock_that_a_killed_process_left_is_cleared()
    {
        await OpenAsync();
        await using (var connection = _store.Connect())
        await using (var command = connection.CreateCommand())
        {
            command.CommandText =
                """
                CREATE TABLE IF NOT EXISTS "__EFMigrationsLock" ("Id" INTEGER NOT NULL PRIMARY KEY, "Timestamp" TEXT NOT NULL);
                INSERT INTO "__EFMigrationsLock" VALUES (1, '2026-01-01');
                """;
            await command.ExecuteNonQueryAsync();
        }

        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        await _store.Sql.OpenAsync(patience.Token);

        Assert.That(await _store.AskAsync("SELECT count(*) FROM \"__EFMigrationsLock\""), Is.Zero);
    }

    [Test]
    public async Task A_file_that_is_no_database_stops_the_start()
    {
        await File.WriteAllTextAsync(_store.Folder.Database, string.Concat(Enumerable.Repeat("not a database ", 1_000)));

        Assert.That(OpenAsync, Throws.TypeOf<SettingException>().With.Message.Contains("damaged"));
    }

    [Test]
    public async Task A_database_that_is_damaged_stops_the_start()
    {
        await OpenAsync();
        await _store.AddAsync([.. Enumerable.Range(0, 200).Select(_ => new HeldKey())]);
        await _store.AskAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        await using (var file = new FileStream(_store.Folder.Database, FileMode.Open, FileAccess.ReadWrite))
        {
            file.Position = 4096 * 3;
            await file.WriteAsync(Enumerable.Repeat((byte)0xA5, (int)Math.Min(4096 * 20, file.Length - file.Position)).ToArray());
        }

        Assert.That(OpenAsync, Throws.TypeOf<SettingException>().With.Message.Contains("damaged"));
    }

    [Test]
    public async Task A_folder_in_place_of_the_file_stops_the_start()
    {
        Directory.CreateDirectory(_store.Folder.Database);

        Assert.That(OpenAsync, Throws.TypeOf<SettingException>());
        await Task.CompletedTask;
    }

    [Test]
    public async Task The_model_is_what_the_migrations_make()
    {
        await using var database = _store.CreateDbContext();

        Assert.That(database.Database.HasPendingModelChanges(), Is.False);
    }

    [Test]
    public async Task Secrets_that_work_are_counted_by_their_pepper()
    {
        await OpenAsync();
        HeldKey live = new(days: null), expiring = new(days: 1), revoked = new(), rotated = new(), disabled = new();
        await _store.AddAsync(live, expiring, revoked, rotated, disabled);
        await _store.ChangeAsync(revoked.Id, key => key.Revoke("me", null, 1, HeldKey.Start));
        await _store.ChangeAsync(disabled.Id, key => key.Update(new KeyUpdate { Disabled = true }, 1, HeldKey.Start));
        await _store.ChangeAsync(rotated.Id, key => key.Rotate(
            new PepperRing(HeldKey.PepperOf(2)).Seal(Token.Generate(key.Id)), new Rotation(TimeSpan.FromHours(1)), HeldKey.Start));
        var (first, second) = (HeldKey.PepperOf(1).Id, HeldKey.PepperOf(2).Id);

        Assert.That(
            await _store.Sql.CountLiveSecretsAsync(HeldKey.Start, CancellationToken.None),
            Is.EquivalentTo(new Dictionary<string, int> { [first] = 4, [second] = 1 }));
        Assert.That(
            await _store.Sql.CountLiveSecretsAsync(HeldKey.Start.AddDays(1), CancellationToken.None),
            Is.EquivalentTo(new Dictionary<string, int> { [first] = 2, [second] = 1 }), "one expired, one was superseded");
    }

    [Test]
    public async Task Live_secrets_under_a_pepper_that_is_not_listed_stop_the_start_with_their_count()
    {
        await OpenAsync();
        await _store.AddAsync(new HeldKey(days: 5), new HeldKey(days: 5));
        var other = new PepperRing(HeldKey.PepperOf(2));

        Assert.That(() => DemandAsync(other, 0), Throws.TypeOf<SettingException>().With.Message.Contains($"2 under {HeldKey.PepperOf(1).Id}"));
        Assert.That(() => DemandAsync(other, 5), Throws.Nothing, "nobody could use them any more");
        Assert.That(() => DemandAsync(new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1)), 0), Throws.Nothing);
    }

    private Task OpenAsync() => _store.Sql.OpenAsync(CancellationToken.None);

    private Task DemandAsync(PepperRing peppers, int days) => _store.Sql.DemandPeppersAsync(peppers, HeldKey.Start.AddDays(days), CancellationToken.None);

    private static async Task<string?> AskAsync(DbContext database, string pragma)
    {
        await using var command = database.Database.GetDbConnection().CreateCommand();
        command.CommandText = $"PRAGMA {pragma}";
        return (await command.ExecuteScalarAsync())?.ToString();
    }
}
