using System.Data;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>A search finds what it should by an index, and does not go through the table for it.</summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class TextSearchTests(StoreKind kind) : IDisposable
{
    private const int FillSeconds = 60;

    private Store _store = null!;

    [SetUp]
    public async Task SetUp() => _store = await Store.OpenAsync(kind);

    [TearDown]
    public void Dispose() => _store.Dispose();

    [TestCase("LING", "billing")]
    [TestCase("illi", "billing")]
    [TestCase("100%", "100% \"sure\"")]
    [TestCase("% \"s", "100% \"sure\"")]
    [TestCase("a_b", "a_b")]
    [TestCase("a\\b", "a\\b")]
    [TestCase("'; --", "it'; --")]
    [TestCase("straße", "Hauptstraße")]
    [TestCase("日本語", "の日本語の")]
    [TestCase("🙂🙂🙂", "a🙂🙂🙂b")]
    [TestCase("li", "billing")]
    [TestCase("b", "billing,a_b,axb,a\\b,a🙂🙂🙂b")]
    [TestCase("team", "owned")]
    [TestCase("AND", "")]
    [TestCase("name_folded:", "")]
    public async Task Any_part_of_a_name_or_owner_is_found_in_any_case(string text, string expected)
    {
        string[] names = ["billing", "100% \"sure\"", "a_b", "axb", "a\\b", "it'; --", "Hauptstraße", "の日本語の", "a🙂🙂🙂b"];
        await _store.AddAsync([.. names.Select(name => new HeldKey(name: name)), new HeldKey(name: "owned", owner: "The TEAM")]);

        Assert.That((await FindAsync(text)).Select(key => key.Name), Is.EquivalentTo(expected.Split(',', StringSplitOptions.RemoveEmptyEntries)));
    }

    [Test]
    public async Task More_searches_than_may_run_at_once_are_refused_and_turns_come_back()
    {
        var search = new TextSearch(null);
        var first = await search.TakeTurnAsync(CancellationToken.None);
        var second = await search.TakeTurnAsync(CancellationToken.None);
        await Assert.ThrowsAsync<OverloadedException>(() => search.TakeTurnAsync(CancellationToken.None));

        first.Dispose();
        for (var round = 0; round < 10; round++)
            (await search.TakeTurnAsync(CancellationToken.None)).Dispose();
        second.Dispose();
        using var third = await search.TakeTurnAsync(CancellationToken.None);
        using var fourth = await search.TakeTurnAsync(CancellationToken.None);
        await Assert.ThrowsAsync<OverloadedException>(() => search.TakeTurnAsync(CancellationToken.None));
    }

    [Test]
    public async Task The_start_of_a_key_id_is_found_as_it_is_written()
    {
        HeldKey[] held = [new(), new()];
        await _store.AddAsync(held);
        var id = held[0].Id.Value;

        Assert.That((await FindAsync(id)).Single().Id, Is.EqualTo(held[0].Id));
        Assert.That((await FindAsync(id[..^2])).Select(key => key.Id), Does.Contain(held[0].Id));
        Assert.That(await FindAsync("mira_key"), Has.Count.EqualTo(2));
        Assert.That(await FindAsync(id[1..]), Is.Empty);
        Assert.That(await FindAsync(id.ToUpperInvariant()), Is.Empty);
    }

    [Test]
    public async Task A_renamed_key_is_found_by_its_new_name_alone()
    {
        var held = new HeldKey(name: "before", owner: "somebody");
        await _store.AddAsync(held);
        await _store.ChangeAsync(held.Id, key => key.Update(new KeyUpdate { Name = "afterwards", Owner = new(null) }, 1, HeldKey.Start));

        Assert.That(await FindAsync("before"), Is.Empty);
        Assert.That(await FindAsync("somebody"), Is.Empty);
        Assert.That(await FindAsync("terwar"), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task What_very_many_keys_hold_is_found_newest_first_all_the_same()
    {
        const int Crowd = TextSearch.MostHits + 5;
        await FillAsync(Crowd);
        await using var database = _store.CreateDbContext();
        Assert.That(await new TextSearch(null).FindAsync(database, "hay ", CancellationToken.None), Is.Null);

        var page = await FindAsync("hay ", 2);
        Assert.That(page.Select(key => key.Name), Is.EqualTo(new[] { $"HAY {Crowd}", $"HAY {Crowd - 1}" }));
    }

    [Test]
    public async Task It_is_found_by_the_index()
    {
        await FillAsync(30_000);
        await using var database = _store.CreateDbContext();
        var query = kind == StoreKind.Postgres ? TextSearch.Trigrams(database, "needle", "NEEDLE") : TextSearch.FullText(database, "needle", "NEEDLE");
        var plan = await PlanAsync(query);

        Assert.That(await query.ToListAsync(), Has.Count.EqualTo(1));
        if (kind == StoreKind.Postgres)
            Assert.That(plan, Does.Contain("IX_keys_name_trigram").And.Contain("IX_keys_owner_trigram").And.Not.Contain("Seq Scan"));
        else
            Assert.That(plan, Does.Contain("SCAN keys_search VIRTUAL TABLE INDEX").And.Contain("SEARCH keys USING").And.Not.Contain("SCAN keys\n"));
    }

    [Test]
    public async Task Without_the_index_everything_is_found_as_before()
    {
        await using (var database = _store.CreateDbContext())
        {
            await database.Database.ExecuteSqlRawAsync(
                kind == StoreKind.Postgres ? "DROP INDEX \"IX_keys_name_trigram\"" : "DROP TRIGGER keys_search_insert");
        }

        await _store.AddAsync(new HeldKey(name: "billing"));
        Assert.That(await FindAsync("LING"), Has.Count.EqualTo(1));
    }

    private async Task<IReadOnlyList<ApiKey>> FindAsync(string text, int limit = 1_000) =>
        [.. (await _store.Keys.FindAsync(new KeyFilters().All with { Text = text, Limit = limit }, CancellationToken.None)).Select(row => row.Key)];

    // Copies of one key beside the ledger, which is not asked here.
    private async Task FillAsync(int count)
    {
        await _store.AddAsync(new HeldKey(name: "needle"));
        await using var database = _store.CreateDbContext();
        var columns = await database.Database.SqlQueryRaw<string>(
            kind == StoreKind.Postgres
                ? "SELECT column_name AS \"Value\" FROM information_schema.columns WHERE table_name = 'keys'"
                : "SELECT name AS \"Value\" FROM pragma_table_info('keys')").ToListAsync();
        var values = columns.Select(column => column switch
        {
            "id" => "'mira_key_' || substr('000000000000' || n, -12)",
            "created_seq" => "n + 1000",
            "name" or "name_folded" => "'HAY ' || n",
            _ => column,
        }).Select(value => kind == StoreKind.Postgres ? value.Replace("substr('000000000000' || n, -12)", "lpad(n::text, 12, '0')", StringComparison.Ordinal) : value);
        var numbers = kind == StoreKind.Postgres
            ? $"generate_series(1, {count}) AS n"
            : $"(WITH RECURSIVE one(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM one WHERE n < {count}) SELECT n FROM one)";
        // A busy machine may need longer for it than a call may take.
        database.Database.SetCommandTimeout(FillSeconds);
        await database.Database.OpenConnectionAsync();
        if (kind == StoreKind.Postgres)
            await database.Database.ExecuteSqlRawAsync("SET statement_timeout = 0");
        await using var command = database.Database.GetDbConnection().CreateCommand();
        command.CommandTimeout = FillSeconds;
        command.CommandText = $"INSERT INTO keys ({string.Join(", ", columns)}) SELECT {string.Join(", ", values)} FROM (SELECT * FROM keys LIMIT 1) AS first, {numbers}";
        await command.ExecuteNonQueryAsync();
        await database.Database.ExecuteSqlRawAsync("ANALYZE");
    }

    private async Task<string> PlanAsync(IQueryable<long> query)
    {
        await using var database = _store.CreateDbContext();
        await using var command = query.CreateDbCommand();
        command.CommandText = (kind == StoreKind.Postgres ? "EXPLAIN " : "EXPLAIN QUERY PLAN ") + command.CommandText;
        if (command.Connection!.State != ConnectionState.Open)
            await command.Connection.OpenAsync();
        if (kind == StoreKind.Postgres)
        {
            // So few short rows are read as fast without an index; the question is whether it can be used.
            await using var setting = command.Connection.CreateCommand();
            setting.CommandText = "SET enable_seqscan = off";
            await setting.ExecuteNonQueryAsync();
        }

        await using var rows = await command.ExecuteReaderAsync();
        var lines = new List<string>();
        while (await rows.ReadAsync())
            lines.Add(rows.GetString(kind == StoreKind.Postgres ? 0 : 3));
        return string.Join('\n', lines) + "\n";
    }
}
