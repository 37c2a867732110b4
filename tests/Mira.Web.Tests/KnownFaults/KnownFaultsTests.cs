using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Mira.Application.Limits;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Limits;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>
/// One test for each fault that an earlier system was measured to have. The name says what holds now, the summary what
/// the fault was.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class KnownFaultsTests : SharedHost
{
    /// <summary>The fault: a rotation ended the old key at once.</summary>
    [Test]
    public async Task Rotation_keeps_the_old_secret_working()
    {
        var made = await CreateAsync();
        var rotated = await Admin.RotateKeyAsync(made.KeyId);
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));
        Assert.That(await VerdictOnAsync(rotated.ApiKey), Is.EqualTo("200"));
    }

    /// <summary>The fault: eight concurrent rotations left eight live successors.</summary>
    [Test]
    public async Task Of_eight_concurrent_rotations_two_succeed_and_the_key_stays_one()
    {
        var made = await CreateAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => AdminHttp.CallAsync("POST", $"/api/keys/{made.KeyId}/rotate")));
        var successors = answers.Where(answer => answer.Verdict == "201").Select(answer => answer.Field("api_key")).ToList();
        Assert.That(successors, Has.Count.EqualTo(2));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Secrets, Has.Count.EqualTo(3));
        Assert.That((await Admin.ListKeysAsync(q: made.KeyId)).Keys, Has.Count.EqualTo(1));
    }

    /// <summary>The fault: the rotation of a revoked key made it work again.</summary>
    [Test]
    public async Task A_revoked_key_is_not_rotated()
    {
        var made = await CreateAsync();
        await Admin.RevokeKeyAsync(made.KeyId);
        Assert.That(await Admin.RotateKeyAsync(made.KeyId).RefusalAsync(), Is.EqualTo("409 key_not_active"));
        Assert.That(await Admin.RotateKeyAsync(made.KeyId, body: new Client.RotateKey { ExpiryDays = 5, GraceMinutes = 0 }).RefusalAsync(), Is.EqualTo("409 key_not_active"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Status, Is.EqualTo("revoked"));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_revoked"));
    }

    /// <summary>The fault: a stale copy that was written back undid a revocation.</summary>
    [Test]
    public async Task A_stale_copy_is_not_written_over_a_revocation()
    {
        var made = await CreateAsync();
        Assert.That(KeyId.TryParse(made.KeyId, out var id), Is.True);
        await using var database = await Host.Services.GetRequiredService<IDbContextFactory<MiraDbContext>>().CreateDbContextAsync();
        var stale = await database.Keys.Include(key => key.Secrets).SingleAsync(key => key.Id == id);
        await Admin.RevokeKeyAsync(made.KeyId);

        stale.Update(new KeyUpdate { Name = "stale" }, 1, Now);
        Assert.That(() => database.SaveChangesAsync(), Throws.InstanceOf<DbUpdateConcurrencyException>());
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Status, Is.EqualTo("revoked"));
    }

    /// <summary>The fault: the record of a last use wrote the whole key, as it was before.</summary>
    [Test]
    public async Task Recording_the_last_use_changes_nothing_else()
    {
        using var folder = new TestFolder();
        string token;
        await using (var mira = MiraHost.Start(holdClock: true, folder))
        {
            token = await mira.NewKeyAsync("viewer");
            var id = MiraHost.IdOf(token);
            Assert.That((await mira.Http(token).ValidateAsync()).Verdict, Is.EqualTo("200"));

            // The use is noted and not yet written; the host writes it at the latest when it stops.
            await mira.Client().UpdateKeyAsync(id, new Client.UpdateKey { Name = "renamed" });
            await mira.Client().RevokeKeyAsync(id);
        }

        await using var after = MiraHost.Start(holdClock: true, folder);
        var view = await after.Client().GetKeyAsync(MiraHost.IdOf(token));
        Assert.That(view.LastUsedAt, Is.Not.Null);
        Assert.That((view.Status, view.Name, view.Version), Is.EqualTo(("revoked", "renamed", 3)));
        Assert.That((await after.Http(token).ValidateAsync()).Verdict, Is.EqualTo("401 key_revoked"));
    }

    /// <summary>The fault: every key was gone after a restart.</summary>
    [Test]
    public async Task Every_key_is_the_same_after_a_restart()
    {
        using var folder = new TestFolder();
        string token, before;
        await using (var mira = MiraHost.Start(holdClock: true, folder))
        {
            token = await mira.NewKeyAsync("operator", key => (key.Owner, key.Metadata) = ("team", new Dictionary<string, string> { ["k"] = "v" }));
            before = (await mira.Http(mira.Admin).CallAsync("GET", $"/api/keys/{MiraHost.IdOf(token)}")).Text;
        }

        await using var after = MiraHost.Start(holdClock: true, folder);
        Assert.That((await after.Http(token).ValidateAsync()).Verdict, Is.EqualTo("200"));
        Assert.That((await after.Http(after.Admin).CallAsync("GET", $"/api/keys/{MiraHost.IdOf(token)}")).Text, Is.EqualTo(before));
    }

    /// <summary>The fault: broken JSON, and a documented call without a body, gave a 500.</summary>
    [Test]
    public async Task Broken_JSON_and_a_call_without_a_body_are_errors_of_the_caller()
    {
        var id = (await CreateAsync()).KeyId;
        (string Method, string Path)[] calls =
            [("POST", "/api/keys"), ("PATCH", $"/api/keys/{id}"), ("POST", $"/api/keys/{id}/rotate"), ("POST", "/api/keys/verify")];
        string?[] bodies =
        [
            null, "", " ", "{", "}", "[", "null", "true", "1", "\"", "{}", "[]", "{\"name\":}", "{\"name\":\"\\ud800\"}", "\u0000", "\ufeff{}", "{\"a\":1e999}",
            new string('[', 10_000), "{\"metadata\":{\"a\":{\"b\":{}}}}", "{\"permissions\":[[]]}",
        ];

        foreach (var (method, path) in calls)
        {
            foreach (var body in bodies)
            {
                var answer = await AdminHttp.CallAsync(method, path, body);
                Assert.That((int)answer.Status, Is.LessThan(500), $"{method} {path} {body}");
            }

            if (!path.EndsWith("/rotate", StringComparison.Ordinal))
                Assert.That((await AdminHttp.CallAsync(method, path)).Verdict, Is.EqualTo("400 malformed_json"), $"{method} {path} without a body");
        }
    }

    /// <summary>The fault: a negative expiry made a key that never expires.</summary>
    [Test]
    public async Task A_negative_expiry_is_refused()
    {
        foreach (var days in new[] { -1, 0, int.MinValue })
        {
            Assert.That(await CreateAsync(days: days).RefusalAsync(), Is.EqualTo("400 validation_failed"));
            var made = await CreateAsync();
            Assert.That(await Admin.RotateKeyAsync(made.KeyId, body: new Client.RotateKey { ExpiryDays = days }).RefusalAsync(), Is.EqualTo("400 validation_failed"));
        }
    }

    /// <summary>The fault: each verification read every key.</summary>
    [Test]
    public async Task Verification_reads_one_key_once()
    {
        var store = new CountedStore();
        await using var mira = MiraHost.Start(configure: services =>
        {
            services.AddSingleton<SqlKeyStore>();
            services.Replace(ServiceDescriptor.Singleton<IKeyStore>(provider => store.Around(provider.GetRequiredService<SqlKeyStore>())));
        });
        var token = await mira.NewKeyAsync("viewer");
        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => mira.NewKeyAsync("viewer")));
        var http = mira.Http(token);

        store.Reads = 0;
        Assert.That((await http.ValidateAsync()).Verdict, Is.EqualTo("200"));
        Assert.That((store.Reads, store.Searches), Is.EqualTo((1, 0)), "cold");
        for (var i = 0; i < 20; i++)
            await http.ValidateAsync();
        Assert.That((store.Reads, store.Searches), Is.EqualTo((1, 0)), "warm");
    }

    /// <summary>The fault: the read of one key scanned the table.</summary>
    [Test]
    public async Task Reading_one_key_uses_the_index()
    {
        // Before the host: EF Core remembers for a while that nobody listens.
        using var statements = new Statements();
        await using var mira = MiraHost.Start();
        Assert.That(KeyId.TryParse(MiraHost.IdOf(await mira.NewKeyAsync("viewer")), out var id), Is.True);
        await mira.Services.GetRequiredService<IKeyStore>().ReadAsync(id, CancellationToken.None);
        var sql = statements.Single(id.Value);

        await using var database = new SqliteConnection($"Data Source={Path.Combine(mira.Folder.Data, "mira.db")};Mode=ReadOnly;Pooling=False");
        await database.OpenAsync();
        await using var explain = database.CreateCommand();
        explain.CommandText = $"EXPLAIN QUERY PLAN {sql}";
        explain.Parameters.AddWithValue("@id", id.Value);
        var plan = new List<string>();
        await using (var rows = await explain.ExecuteReaderAsync())
        {
            while (await rows.ReadAsync())
                plan.Add(rows.GetString(3));
        }

        foreach (var alias in Regex.Matches(sql, "\"(keys|secrets)\" AS \"(?<alias>\\w+)\"").Select(table => table.Groups["alias"].Value))
            Assert.That(plan, Has.Some.StartsWith($"SEARCH {alias} USING INDEX").And.None.Match($@"\ASCAN {alias}( |\z)"), string.Join("; ", plan));
    }

    /// <summary>The fault: limits were counted by IP address, and an error let every call through.</summary>
    [Test]
    public async Task Limits_are_per_key_and_let_nothing_through_on_an_error()
    {
        var shared = new BrokenLimits();
        await using var mira = MiraHost.Start(holdClock: true, configure: services => services.AddSingleton<ISharedLimits>(shared), settings: ("RATE_LIMIT_VIEWER", "3"));
        foreach (var http in new[] { mira.Http(await mira.NewKeyAsync("viewer")), mira.Http(await mira.NewKeyAsync("viewer")) })
        {
            for (var call = 1; call <= 5; call++)
                Assert.That((await http.ValidateAsync()).Verdict, Is.EqualTo(call <= 3 ? "200" : "429 rate_limited"), "the same address, a limit of its own");
        }

        var another = mira.Http(await mira.NewKeyAsync("viewer"));
        shared.Throws = true;
        Assert.That((await another.ValidateAsync()).Verdict, Is.EqualTo("500 internal_error"));
    }

    /// <summary>The fault: the documented environment variables had no effect.</summary>
    [Test]
    public async Task The_documented_environment_variables_work()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(
            folder, ("API_KEY_DEFAULT_EXPIRY_DAYS", "7"), ("API_KEY_ROTATION_GRACE_MINUTES", "5"), ("LOG_LEVEL", "WARN"), ("LOG_FORMAT", "text"),
            ("CORS_ENABLED", "true"), ("CORS_ORIGINS", "https://console.example.com"));
        await mira.WaitUntilReadyAsync();
        using var http = mira.Http(folder.Admin);
        var admin = new Client.MiraClient(http);

        var made = await admin.CreateKeyAsync(new Client.CreateKey { Name = "a", Role = "viewer" });
        Assert.That(made.ExpiresAt - made.CreatedAt, Is.EqualTo(TimeSpan.FromDays(7)));
        var rotated = await admin.RotateKeyAsync(made.KeyId);
        Assert.That(rotated.PreviousValidUntil - (await admin.GetKeyAsync(made.KeyId)).RotatedAt, Is.EqualTo(TimeSpan.FromMinutes(5)));
        var crossing = await http.CallAsync("GET", "/api/keys", headers: ("Origin", "https://console.example.com"));
        Assert.That(crossing.Header("Access-Control-Allow-Origin"), Is.EqualTo("https://console.example.com"));
        Assert.That(File.Exists(Path.Combine(folder.Data, "mira.db")), Is.True);
        Assert.That(mira.Output, Does.Not.Contain("info").And.Not.Contain("{"));
    }

    /// <summary>Counts what the service asks of its store.</summary>
    private sealed class CountedStore : IKeyStore
    {
        private IKeyStore _inner = null!;
        private int _reads;
        private int _searches;

        public int Reads
        {
            get => _reads;
            set => _reads = value;
        }

        public int Searches => _searches;

        public CountedStore Around(IKeyStore inner)
        {
            _inner = inner;
            return this;
        }

        public Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _reads);
            return _inner.ReadAsync(id, cancellationToken);
        }

        public Task<IReadOnlyList<(ApiKey Key, long Seq)>> FindAsync(KeyFilter filter, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _searches);
            return _inner.FindAsync(filter, cancellationToken);
        }
    }
}
