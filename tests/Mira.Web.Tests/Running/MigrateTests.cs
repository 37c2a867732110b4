using Microsoft.Data.Sqlite;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>Who makes and upgrades the tables, and what happens to a version that does not know them.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class MigrateTests
{
    private const string Command = "dotnet Mira.Web.dll migrate";
    private const string Future = "29990101000000_Future";
    private const string MakeNewer = $"""INSERT INTO "__EFMigrationsHistory" VALUES ('{Future}', '99.0.0')""";
    private const string MakeOlder = """DELETE FROM "__EFMigrationsHistory" WHERE "MigrationId" = (SELECT max("MigrationId") FROM "__EFMigrationsHistory")""";

    private static readonly (string, string) Off = ("MIRA_MIGRATE", "false");

    [Test]
    public async Task The_verb_makes_the_tables_once_and_a_start_that_makes_none_serves_with_them()
    {
        using var folder = new TestFolder();
        var made = await MiraProcess.RunAsync(folder, ["migrate"], Off);
        Assert.That((made.ExitCode, made.Error), Is.EqualTo((0, "")));
        Assert.That(made.Output, Does.Match("^applied [0-9]{14}_Initial\n(applied .*\n)*the tables are up to date\n$"));
        Assert.That(File.Exists(folder.AdminFile), Is.False, "nothing is served, so nobody needs a key");

        var again = await MiraProcess.RunAsync(folder, ["migrate"]);
        Assert.That((again.ExitCode, again.Output, again.Error), Is.EqualTo((0, "the tables are up to date already\n", "")));

        await using var mira = MiraHost.Start(folder: folder, settings: Off);
        Assert.That((await mira.Client().ValidateKeyAsync()).Role, Is.EqualTo("admin"));
    }

    [Test]
    public async Task A_start_that_may_make_no_tables_makes_none_and_says_what_does()
    {
        using var folder = new TestFolder();
        ExpectRefusal(await MiraProcess.RunAsync(folder, [], Off), "MIRA_MIGRATE", Command);
        Assert.That(File.Exists(Path.Combine(folder.Data, "mira.db")), Is.False);

        await using (MiraHost.Start(folder: folder))
        {
        }

        await ChangeAsync(folder, MakeOlder);
        ExpectRefusal(await MiraProcess.RunAsync(folder, [], Off), "MIRA_MIGRATE", Command);
        ExpectRefusal(await MiraProcess.RunAsync(folder, ["admin", "create", "--name", "a"], Off), "MIRA_MIGRATE", Command);
    }

    [TestCase("true", "MIRA_DATA_DIR")]
    [TestCase("false", "MIRA_DATA_DIR")]
    [TestCase("true", "MIRA_DATA_DIR", "migrate")]
    [TestCase("true", "MIRA_DATA_DIR", "admin", "create", "--name", "a")]
    [TestCase("true", "MIRA_DATA_DIR", "pepper", "status")]
    [TestCase("true", "MIRA_STORE", "audit", "verify")]
    [TestCase("true", "MIRA_DATA_DIR", "store", "copy", "--from", "sqlite", "--to", "sqlite:{other}")]
    [TestCase("true", "MIRA_DATA_DIR", "store", "copy", "--from", "sqlite:{other}", "--to", "sqlite")]
    public async Task An_older_version_leaves_the_tables_of_a_newer_one_alone(string migrate, string setting, params string[] verb)
    {
        using var folder = new TestFolder();
        using var other = new TestFolder();
        await using (MiraHost.Start(folder: folder))
        await using (MiraHost.Start(folder: other))
        {
        }

        await ChangeAsync(folder, MakeNewer);
        var before = await CountEventsAsync(folder);
        string[] line = [.. verb.Select(word => word.Replace("{other}", other.Data, StringComparison.Ordinal))];
        ExpectRefusal(await MiraProcess.RunAsync(folder, line, ("MIRA_MIGRATE", migrate)), setting, Future);
        Assert.That(await CountEventsAsync(folder), Is.EqualTo(before));
    }

    [Test]
    public async Task In_PostgreSQL_the_account_that_serves_needs_no_right_to_change_tables()
    {
        using var folder = new TestFolder();
        var settings = await SharedStore.NewAsync();
        var (server, database) = (await SharedPostgres.ServerAsync(), Database(settings));
        await server.ExecuteAsync($"CREATE ROLE {database}_user LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC", database);
        await server.ExecuteAsync($"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {database}_user", database);
        var address = Of(settings, "MIRA_POSTGRES");
        var limited = address.Replace("Username=postgres", $"Username={database}_user", StringComparison.Ordinal);
        Assert.That(limited, Is.Not.EqualTo(address));
        (string, string)[] serving = [.. SharedStore.SettingsFor(limited), Off];
        ExpectRefusal(await MiraProcess.RunAsync(folder, [], serving), "MIRA_MIGRATE", Command);

        // The account that may change tables needs neither pepper nor audit key.
        var made = await MiraProcess.RunAsync(folder, ["migrate"], ("MIRA_STORE", "postgres"), ("MIRA_POSTGRES", address));
        Assert.That((made.ExitCode, made.Error), Is.EqualTo((0, "")));

        await using var mira = MiraProcess.Start(folder, serving);
        await mira.WaitUntilReadyAsync();
        using var client = mira.Http(folder.Admin);
        var created = await client.PostAsync("/api/keys", MiraHost.Json("""{"name":"a","role":"viewer"}"""));
        Assert.That(created.IsSuccessStatusCode, await created.Content.ReadAsStringAsync());
        Assert.That(await client.GetStringAsync("/health"), Does.Contain("\"status\":\"healthy\"").And.Contain("\"store_writable\":true"));
    }

    [TestCase("true")]
    [TestCase("false")]
    [TestCase("true", "migrate")]
    [TestCase("true", "audit", "verify")]
    public async Task In_PostgreSQL_too_an_older_version_leaves_the_tables_of_a_newer_one_alone(string migrate, params string[] verb)
    {
        using var folder = new TestFolder();
        var settings = await SharedStore.NewAsync();
        var address = Of(settings, "MIRA_POSTGRES");
        Assert.That((await MiraProcess.RunAsync(folder, ["migrate"], ("MIRA_STORE", "postgres"), ("MIRA_POSTGRES", address))).ExitCode, Is.Zero);
        await (await SharedPostgres.ServerAsync()).ExecuteAsync(MakeNewer, Database(settings));

        ExpectRefusal(
            await MiraProcess.RunAsync(folder, verb, [.. settings, ("MIRA_MIGRATE", migrate)]), verb is ["audit", ..] ? "MIRA_STORE" : "MIRA_POSTGRES", Future);
    }

    private static string Of((string Name, string Value)[] settings, string name) => settings.Single(setting => setting.Name == name).Value;

    private static string Database((string Name, string Value)[] settings) => new Npgsql.NpgsqlConnectionStringBuilder(Of(settings, "MIRA_POSTGRES")).Database!;

    private static void ExpectRefusal((int ExitCode, string Output, string Error) run, string setting, string said)
    {
        Assert.That(run.ExitCode, Is.EqualTo(1), run.Output + run.Error);
        Assert.That(run.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), run.Error);
        Assert.That(run.Error, Does.StartWith($"mira: {setting}: ").And.Contain(said));
    }

    private static Task<int> ChangeAsync(TestFolder folder, string sql) => ExecuteAsync(folder, sql, command => command.ExecuteNonQueryAsync());

    private static async Task<long> CountEventsAsync(TestFolder folder) =>
        (long)(await ExecuteAsync(folder, "SELECT count(*) FROM ledger", command => command.ExecuteScalarAsync()))!;

    private static async Task<T> ExecuteAsync<T>(TestFolder folder, string sql, Func<SqliteCommand, Task<T>> execute)
    {
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(folder.Data, "mira.db")};Pooling=false");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await execute(command);
    }
}
