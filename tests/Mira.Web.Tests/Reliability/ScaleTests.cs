using System.Data.Common;
using System.Net;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Mira.Benchmarks;
using Mira.Infrastructure.Sql;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// Very many keys: the store is taken as whole, lists go by an index, and a call reads one key and not a table.
/// </summary>
internal sealed class ScaleTests
{
    /// <summary>Plans do not depend on how many there are; in a soak it is the full number.</summary>
    private static readonly int Many = Soak.IsAsked ? 100_000 : 20_000;

    private readonly TestFolder _folder = new();
    private readonly Statements _statements = new();
    private IReadOnlyList<string> _tokens = [];
    private MiraHost _mira = null!;

    private HttpClient Admin => _mira.Http(_mira.Admin);

    [OneTimeSetUp]
    public async Task Fill()
    {
        await using (MiraHost.Start(folder: _folder))
        {
            // For the tables, the pepper and the first admin.
        }

        var tokens = SqliteKeys.Write(
            Path.Combine(_folder.Data, "mira.db"), await File.ReadAllTextAsync(Path.Combine(_folder.Data, "pepper")),
            await File.ReadAllTextAsync(Path.Combine(_folder.Data, "audit-key.pem")), Many);
        _tokens = [.. tokens.Where((_, number) => number % (1 + (Many / 100)) == 0)];
        _mira = MiraHost.Start(
            folder: _folder, settings: Calls.NoLimits,
            configure: services => services.ConfigureDbContext<MiraDbContext>(options => options.AddInterceptors(_statements)));
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        await _mira.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task The_store_is_taken_as_whole()
    {
        Assert.That(new LedgerFile(_folder).Check(), Is.Empty);
        var health = (await Calls.GetAsync(Admin, "/health")).Demand(HttpStatusCode.OK);
        Assert.That(health.Text("status"), Is.EqualTo("healthy"), health.Body.ToJsonString());
        foreach (var token in _tokens)
            (await Calls.GetAsync(_mira.Http(), Calls.Validate, token)).Demand(HttpStatusCode.OK);
    }

    [Test]
    public async Task A_cursor_leads_through_all_keys_of_a_filter()
    {
        var seen = new List<string>();
        var admin = Admin;
        var cursor = "";
        do
        {
            var page = (await Calls.GetAsync(admin, $"/api/keys?role=operator&limit=200{cursor}")).Demand(HttpStatusCode.OK);
            seen.AddRange(page.Items("keys").Select(key => (string)key["key_id"]!));
            cursor = page.Text("next_cursor") is { } next ? $"&cursor={next}" : null;
        }
        while (cursor is not null);

        Assert.That(seen, Is.Unique);
        Assert.That(seen, Has.Count.EqualTo(Many / 10));
    }

    [TestCase("", "IX_keys_created_seq")]
    [TestCase("role=admin", "IX_keys_role_created_seq")]
    [TestCase("owner=owner%207", "IX_keys_owner_created_seq")]
    [TestCase("role=viewer&owner=owner%207", "IX_keys_owner_created_seq IX_keys_role_created_seq")]
    [TestCase("status=active", "IX_keys_created_seq")]
    [TestCase("q=key", "IX_keys_created_seq")]
    public async Task A_list_goes_by_an_index_and_sorts_nothing(string filter, string indexes)
    {
        foreach (var cursor in new[] { "", $"&cursor={(await Calls.GetAsync(Admin, "/api/keys?limit=1")).Text("next_cursor")}" })
        {
            var plan = await PlanAsync("FROM \"keys\"", async () =>
                (await Calls.GetAsync(Admin, $"/api/keys?{filter}{cursor}")).Demand(HttpStatusCode.OK));
            Assert.That(indexes.Split(' '), Has.Some.Matches<string>(index => plan.Any(step => step.Contains($"USING INDEX {index}", StringComparison.Ordinal))), string.Join('\n', plan));
            Assert.That(plan.Where(step => step.StartsWith("USE TEMP B-TREE FOR ORDER BY", StringComparison.Ordinal)), Is.Empty, string.Join('\n', plan));
        }
    }

    [Test]
    public async Task The_first_call_of_a_key_reads_it_once_by_its_id_and_the_second_reads_nothing()
    {
        var token = await _mira.NewKeyAsync("viewer");
        var anyone = _mira.Http();
        var read = await _statements.CaptureAsync("FROM \"ledger_head\"", () => Calls.GetAsync(anyone, Calls.Validate, token));
        Assert.That(read, Has.Count.EqualTo(1));
        var plan = Explain(read[0]);
        Assert.That(plan, Has.Some.Contains("sqlite_autoindex_keys_1 (id=?)"), string.Join('\n', plan));
        Assert.That(plan, Has.Some.Contains("sqlite_autoindex_secrets_1 (key_id=?)"), string.Join('\n', plan));
        foreach (var table in Regex.Matches(read[0].Sql, "\"(?:keys|secrets)\" AS \"(\\w+)\"").Select(match => match.Groups[1].Value))
            Assert.That(plan, Has.None.StartsWith($"SCAN {table}"), string.Join('\n', plan));

        Assert.That(await _statements.CaptureAsync("\"keys\"", () => Calls.GetAsync(anyone, Calls.Validate, token)), Is.Empty);
    }

    private async Task<IReadOnlyList<string>> PlanAsync(string fragment, Func<Task> call)
    {
        var ran = await _statements.CaptureAsync(fragment, call);
        Assert.That(ran, Has.Count.EqualTo(1), string.Join("\n\n", ran.Select(statement => statement.Sql)));
        return Explain(ran[0]);
    }

    private List<string> Explain(Statement statement)
    {
        using var database = new SqliteConnection($"Data Source={Path.Combine(_folder.Data, "mira.db")};Mode=ReadOnly;Pooling=False");
        database.Open();
        using var command = database.CreateCommand();
        command.CommandText = $"EXPLAIN QUERY PLAN {statement.Sql}";
        foreach (var (name, value) in statement.Parameters)
            command.Parameters.AddWithValue(name, value);
        using var rows = command.ExecuteReader();
        var plan = new List<string>();
        while (rows.Read())
            plan.Add(rows.GetString(3));
        return plan;
    }

    private sealed record Statement(string Sql, IReadOnlyList<(string Name, object? Value)> Parameters);

    /// <summary>What the service asks its database.</summary>
    private sealed class Statements : DbCommandInterceptor
    {
        private readonly Lock _lock = new();
        private List<Statement>? _captured;

        public async Task<IReadOnlyList<Statement>> CaptureAsync(string fragment, Func<Task> call)
        {
            lock (_lock)
                _captured = [];
            await call();
            lock (_lock)
            {
                var captured = _captured.Where(statement => statement.Sql.Contains(fragment, StringComparison.Ordinal)).ToList();
                _captured = null;
                return captured;
            }
        }

        public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
            DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result, CancellationToken cancellationToken = default)
        {
            lock (_lock)
                _captured?.Add(new Statement(command.CommandText, [.. command.Parameters.Cast<DbParameter>().Select(parameter => (parameter.ParameterName, parameter.Value))]));
            return ValueTask.FromResult(result);
        }
    }
}
