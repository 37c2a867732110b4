using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>What lies in the data folder, and what is done about it when it is not what was left there.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class DataFolderTests
{
    private const UnixFileMode FileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private TestFolder _used = null!;

    /// <summary>A folder that a service has used and left; each test damages a copy.</summary>
    [OneTimeSetUp]
    public async Task UseFolder()
    {
        _used = new TestFolder();
        await using (var mira = MiraHost.Start(folder: _used))
        {
            for (var i = 0; i < 60; i++)
                await mira.NewKeyAsync("viewer");
        }

        // Everything into the one file, so that what a test damages is not healed from the log.
        await ExecuteAsync(_used, "PRAGMA wal_checkpoint(TRUNCATE)");
    }

    [OneTimeTearDown]
    public void RemoveFolder() => _used.Dispose();

    [Test]
    public async Task Folder_and_files_are_the_owners_alone_while_it_runs()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder);
        await mira.WaitUntilReadyAsync();
        Assert.That(File.GetUnixFileMode(folder.Data), Is.EqualTo(FileMode | UnixFileMode.UserExecute));
        var files = Directory.GetFiles(folder.Data);
        Assert.That(files.Select(Path.GetFileName), Is.SupersetOf(new[] { "mira.db", "mira.db-wal", "mira.db-shm", "pepper" }));
        foreach (var file in files.Append(folder.AdminFile))
            Assert.That(File.GetUnixFileMode(file), Is.EqualTo(FileMode), file);
    }

    [Test]
    public async Task A_folder_that_is_there_already_is_closed()
    {
        using var folder = new TestFolder();
        Directory.CreateDirectory(folder.Data, FileMode | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        await using var mira = MiraHost.Start(folder: folder);
        Assert.That(File.GetUnixFileMode(folder.Data), Is.EqualTo(FileMode | UnixFileMode.UserExecute));
    }

    [Test]
    public async Task The_folder_works_again_undamaged()
    {
        using var folder = Copy();
        await using var mira = MiraHost.Start(folder: folder);
        Assert.That((await mira.Client().ValidateKeyAsync()).Valid, Is.True);
    }

    [TestCase("garbage")]
    [TestCase("header")]
    [TestCase("half")]
    [TestCase("few")]
    [TestCase("middle")]
    public async Task A_damaged_database_stops_the_start(string damage)
    {
        using var folder = Copy();
        var file = Path.Combine(folder.Data, "mira.db");
        var bytes = await File.ReadAllBytesAsync(file);
        switch (damage)
        {
            case "garbage":
                RandomNumberGenerator.Fill(bytes);
                break;
            case "header":
                bytes.AsSpan(0, 100).Clear();
                break;
            case "half":
                bytes = bytes[..(bytes.Length / 2)];
                break;
            case "few":
                bytes = bytes[..50];
                break;
            default:
                RandomNumberGenerator.Fill(bytes.AsSpan(bytes.Length / 2 / 4096 * 4096, 2 * 4096));
                break;
        }

        await File.WriteAllBytesAsync(file, bytes);
        var error = await ExpectRefusalAsync(folder, "MIRA_DATA_DIR");
        Assert.That(error, Does.Contain("damaged"));
        Assert.That(await File.ReadAllBytesAsync(file), Has.Length.EqualTo(bytes.Length), "evidence is left as it is");
    }

    [Test]
    public async Task A_lost_pepper_stops_the_start_and_is_not_made_anew()
    {
        using var folder = Copy();
        var pepper = Path.Combine(folder.Data, "pepper");
        File.Delete(pepper);
        Assert.That(await ExpectRefusalAsync(folder, "MIRA_PEPPER"), Does.Contain("missing"));
        Assert.That(File.Exists(pepper), Is.False);
    }

    [Test]
    public async Task Another_pepper_stops_the_start_with_the_count()
    {
        using var folder = Copy();
        File.Delete(Path.Combine(folder.Data, "pepper"));
        var other = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
        var error = await ExpectRefusalAsync(folder, "MIRA_PEPPER", ("MIRA_PEPPER", other));
        Assert.That(error, Does.Contain("61 under").And.Not.Contain(other));
    }

    [Test]
    public async Task A_migration_lock_that_a_crash_left_is_cleared()
    {
        using var folder = Copy();
        await ExecuteAsync(
            folder,
            """
            CREATE TABLE IF NOT EXISTS "__EFMigrationsLock" ("Id" INTEGER NOT NULL PRIMARY KEY, "Timestamp" TEXT NOT NULL);
            INSERT INTO "__EFMigrationsLock" VALUES (1, '2026-01-01 00:00:00+00:00');
            """);
        await using var mira = MiraHost.Start(folder: folder);
        Assert.That((await mira.Client().ValidateKeyAsync()).Valid, Is.True);
    }

    private static async Task<string> ExpectRefusalAsync(TestFolder folder, string setting, params (string Name, string Value)[] settings)
    {
        var (exitCode, output, error) = await MiraProcess.RunAsync(folder, [], settings);
        Assert.That(exitCode, Is.EqualTo(1), output + error);
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), error);
        Assert.That(error, Does.StartWith($"mira: {setting}: "));
        Assert.That(output, Does.Not.Contain("   at "));
        return error;
    }

    private static async Task ExecuteAsync(TestFolder folder, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(folder.Data, "mira.db")};Pooling=false");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    private TestFolder Copy()
    {
        var folder = new TestFolder();
        Directory.CreateDirectory(folder.Data);
        foreach (var file in Directory.GetFiles(_used.Data).Where(file => !file.EndsWith("-shm", StringComparison.Ordinal)))
            File.Copy(file, Path.Combine(folder.Data, Path.GetFileName(file)));
        File.Copy(_used.AdminFile, folder.AdminFile);
        return folder;
    }
}
