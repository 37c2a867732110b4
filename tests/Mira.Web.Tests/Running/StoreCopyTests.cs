using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mira.Client;
using Mira.TestServers.Airtable;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Running;

/// <summary>Keys go from store to store by the binary as a user runs it, and their tokens do not change.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase), Parallelizable(ParallelScope.All)]
internal sealed class StoreCopyTests : IAsyncDisposable
{
    private const string Table = "API Keys";
    private const string OtherPepper = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    private static readonly (string Name, string Value) Pepper = ("MIRA_PEPPER", SharedStore.Pepper);

    private AirtableServer _airtable = null!;
    private TestFolder _folder = null!;

    private string Elsewhere => _folder.At("elsewhere");

    private AirtableSheet Sheet => _airtable.Sheet(Table);

    [SetUp]
    public async Task StartAsync()
    {
        _airtable = await AirtableServer.StartAsync();
        _folder = new TestFolder();
    }

    [TearDown]
    public void CheckPace() => Assert.That(_airtable.BusiestSecond, Is.LessThanOrEqualTo(5));

    public async ValueTask DisposeAsync()
    {
        await _airtable.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task Keys_go_from_store_to_store_and_back_and_every_token_is_judged_as_before()
    {
        var postgres = await SharedStore.NewAsync();
        await MakeTableAsync();
        Dictionary<string, string> tokens;
        string views;
        await using (var first = MiraHost.Start(folder: _folder, settings: [Pepper]))
        {
            tokens = await MakeKeysAsync(first);
            views = await ViewsAsync(first, first.Admin);
            // Beside a service that runs.
            Expect(await CopyAsync("sqlite", "postgres", postgres), 0, "6 copied");
        }

        await ExpectSameAsync(tokens, views, postgres);
        Expect(await CopyAsync("sqlite", "postgres", postgres), 0, "6 same");

        // The ledger of the table is in the same database, so its keys need a record only.
        Expect(await CopyAsync("postgres", "airtable", [.. postgres, .. Airtable()]), 0, "6 copied");
        Assert.That(Sheet.Snapshot(), Has.Count.EqualTo(6));
        Assert.That(Sheet.Snapshot().Select(row => (string?)row.Fields["mac"]), Has.None.Null);
        await ExpectSameAsync(tokens, views, [.. postgres, .. Airtable(), ("MIRA_STORE", "airtable")]);
        Expect(await CopyAsync("postgres", "airtable", [.. postgres, .. Airtable()]), 0, "6 same");

        // With nothing but the table.
        using var empty = new TestFolder();
        Expect(await CopyAsync("airtable", $"sqlite:{Elsewhere}", [.. Airtable(), ("MIRA_DATA_DIR", empty.Data)]), 0, "6 copied");
        await ExpectSameAsync(tokens, views, [Pepper, ("MIRA_DATA_DIR", Elsewhere)]);
        Expect(await CopyAsync("airtable", "sqlite", [.. Airtable(), ("MIRA_DATA_DIR", empty.Data)]), 0, "6 same");
    }

    [Test]
    public async Task Each_key_is_on_record_in_the_target_as_copied()
    {
        await using (MiraHost.Start(folder: _folder))
        {
        }

        Expect(await CopyAsync("sqlite", $"sqlite:{Elsewhere}"), 0, "1 copied");

        Assert.That(await File.ReadAllTextAsync(Path.Combine(Elsewhere, "pepper")), Is.EqualTo(await File.ReadAllTextAsync(Path.Combine(_folder.Data, "pepper"))));
        Assert.That(File.GetUnixFileMode(Path.Combine(Elsewhere, "pepper")), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        await using var target = MiraHost.Start(folder: _folder, settings: ("MIRA_DATA_DIR", Elsewhere));
        var made = (await target.Client().ListAuditEventsAsync(keyId: MiraHost.IdOf(target.Admin))).Events.Single();
        Assert.That((made.Type, made.Actor.Name, made.Reason), Is.EqualTo(("key.created", "system", "copied from sqlite")));
    }

    [Test]
    public async Task A_dry_run_says_the_same_and_writes_nothing()
    {
        var postgres = await SharedStore.NewAsync();
        await MakeTableAsync();
        string id;
        await using (var first = MiraHost.Start(folder: _folder, settings: [Pepper]))
            id = MiraHost.IdOf(first.Admin);
        var before = _airtable.Calls.Count(call => call.IsWrite);

        foreach (var to in (string[])["postgres", "airtable", $"sqlite:{Elsewhere}"])
        {
            var told = await CopyAsync("sqlite", to, [.. to == "postgres" ? postgres : Airtable(), .. DryRun]);
            Assert.That(told, Is.EqualTo((0, $"{id} would copy\n1 would copy\n", "")));
        }

        Assert.That(Directory.Exists(Elsewhere), Is.False);
        Assert.That((Sheet.Snapshot().Count, _airtable.Calls.Count(call => call.IsWrite)), Is.EqualTo((0, before)));
        var status = await MiraProcess.RunAsync(_folder, ["pepper", "status"], postgres);
        Assert.That(status.Error, Does.Contain("there is no store"));

        Expect(await CopyAsync("sqlite", "airtable", Airtable()), 0, "1 copied");
        using var empty = new TestFolder();
        Expect(await CopyAsync("airtable", "sqlite", [.. Airtable(), .. DryRun, ("MIRA_DATA_DIR", empty.Data)]), 0, "1 would copy");
        Assert.That(Directory.Exists(empty.Data), Is.False);
    }

    [Test]
    public async Task A_key_that_differs_is_named_and_left_and_what_is_missing_is_copied()
    {
        string changed, added;
        await using (var first = MiraHost.Start(folder: _folder, settings: [Pepper]))
        {
            changed = MiraHost.IdOf(await first.NewKeyAsync("viewer"));
            Expect(await CopyAsync("sqlite", $"sqlite:{Elsewhere}", Pepper), 0, "2 copied");
            await first.Client().UpdateKeyAsync(changed, new UpdateKey { Name = "renamed" });
            added = MiraHost.IdOf(await first.NewKeyAsync("viewer"));
        }

        var (exitCode, output, error) = await CopyAsync("sqlite", $"sqlite:{Elsewhere}", Pepper);

        Assert.That(exitCode, Is.EqualTo(1));
        Assert.That(output.Split('\n')[1..], Is.EqualTo(new[] { $"{changed} differs", $"{added} copied", "1 copied, 1 same, 1 differs", "" }));
        Assert.That(error, Does.StartWith("mira: 1 of 3 keys").And.Not.Contain("renamed"));
        await using var target = MiraHost.Start(folder: _folder, settings: [Pepper, ("MIRA_DATA_DIR", Elsewhere)]);
        Assert.That((await target.Client().GetKeyAsync(changed)).Name, Is.EqualTo("a viewer"));
    }

    [Test]
    public async Task A_pepper_that_the_target_would_not_know_is_named_and_nothing_is_made()
    {
        var postgres = await SharedStore.NewAsync();
        await using (MiraHost.Start(folder: _folder))
        {
        }

        ExpectRefusal(await CopyAsync("sqlite", "postgres", [.. postgres, ("MIRA_PEPPER", "")]), "MIRA_PEPPER_FILE: must be given");
        ExpectRefusal(await CopyAsync("sqlite", "postgres", postgres), "MIRA_PEPPER: the target would not know the pepper of live secrets (1 under ");
        ExpectRefusal(await CopyAsync("sqlite", $"sqlite:{Elsewhere}", ("MIRA_PEPPER", OtherPepper)), "MIRA_PEPPER: the target would not know");
        Assert.That(Directory.Exists(Elsewhere), Is.False);

        (string, string)[] given = [.. postgres, ("MIRA_PEPPER", ""), ("MIRA_PEPPER_FILE", Path.Combine(_folder.Data, "pepper"))];
        Expect(await CopyAsync("sqlite", "postgres", given), 0, "1 copied");
    }

    [TestCase("--from", "mysql", "postgres")]
    [TestCase("--from", "", "postgres")]
    [TestCase("--from", "postgres:db", "sqlite")]
    [TestCase("--from: there is no store there", "sqlite", "sqlite:/nowhere")]
    [TestCase("--to", "sqlite", "Airtable:x")]
    [TestCase("--to", "sqlite", "sqlite:")]
    [TestCase("--to: is the store that --from names", "sqlite", "sqlite")]
    [TestCase("--to: is the store that --from names", "airtable", "airtable")]
    [TestCase("MIRA_POSTGRES", "postgres", "sqlite")]
    public async Task What_cannot_be_right_is_one_line(string said, string from, string to) =>
        ExpectRefusal(await CopyAsync(from, to, [.. Airtable(), Pepper]), said);

    [Test]
    public async Task A_line_without_both_stores_is_refused()
    {
        ExpectRefusal(await MiraProcess.RunAsync(_folder, ["store", "copy", "--from", "sqlite"]), "--to");
        ExpectRefusal(await MiraProcess.RunAsync(_folder, ["store", "copy", "--to", "sqlite"]), "--from");
    }

    [Test]
    public async Task What_people_changed_in_the_table_is_not_copied_over_nor_from_there()
    {
        await MakeTableAsync();
        string edited, ended;
        await using (var first = MiraHost.Start(folder: _folder, settings: [Pepper]))
            (edited, ended) = (MiraHost.IdOf(await first.NewKeyAsync("viewer")), MiraHost.IdOf(await first.NewKeyAsync("viewer")));
        Expect(await CopyAsync("sqlite", "airtable", Airtable()), 0, "3 copied");
        Sheet.Edit(Sheet.Find("key_id", edited)!.Id, "role", "admin");
        Sheet.Edit(Sheet.Find("key_id", ended)!.Id, "status", "revoked");

        // Another ledger does not know these records as its own.
        using var other = new TestFolder();
        var over = await CopyAsync($"sqlite:{_folder.Data}", "airtable", [.. Airtable(), ("MIRA_DATA_DIR", other.Data)]);
        Expect(over, 1, "1 same, 2 failed");
        Assert.That(over.Output, Does.Contain($"{edited} failed: the table holds a record of it"));

        var from = await CopyAsync("airtable", $"sqlite:{Elsewhere}", Airtable());
        Expect(from, 1, "2 copied, 1 failed");
        Assert.That(from.Output, Does.Contain($"{edited} failed: it is refused"));
        await using var target = MiraHost.Start(folder: _folder, settings: [Pepper, ("MIRA_DATA_DIR", Elsewhere)]);
        Assert.That((await target.Client().ListKeysAsync()).Keys.Select(key => (key.KeyId, key.Status)), Is.EqualTo(new[] { (ended, "revoked"), (MiraHost.IdOf(target.Admin), "active") }));
    }

    [Test]
    public async Task Many_keys_go_to_the_table_ten_in_a_call_and_what_got_stuck_is_finished_by_the_next_run()
    {
        await MakeTableAsync();
        await using (var first = MiraHost.Start(folder: _folder, settings: [Pepper]))
        {
            for (var made = 1; made < 60; made++)
                await first.NewKeyAsync("viewer");
        }

        var before = _airtable.Calls.Count(call => call.IsWrite);
        _airtable.Faults.Always(AirtableFault.Unavailable, call => call.IsWrite && _airtable.Calls.Count(made => made.IsWrite) > before + 6);
        var stuck = await CopyAsync("sqlite", "airtable", Airtable());
        Assert.That(stuck.ExitCode, Is.EqualTo(1));
        Assert.That(stuck.Output, Does.Contain(" copied\n").And.Contain(" failed: Airtable "));
        Assert.That(stuck.Error, Does.StartWith("mira: Airtable ").And.Not.Contain(_airtable.Token));

        _airtable.Faults.Clear();
        before = _airtable.Calls.Count(call => call.IsWrite);
        var copied = Regex.Count(stuck.Output, "^mira_key_.* copied$", RegexOptions.Multiline);
        Expect(await CopyAsync("sqlite", "airtable", Airtable()), 0, $"{60 - copied} copied, {copied} same");
        Assert.That(_airtable.Calls.Count(call => call.IsWrite) - before, Is.LessThan(20));
        Assert.That(Sheet.Snapshot().Select(row => (string?)row.Fields["key_id"]).Distinct().Count(), Is.EqualTo(60));
        Assert.That(Sheet.Snapshot(), Has.Count.EqualTo(60));
        Assert.That(Sheet.Snapshot().Select(row => (string?)row.Fields["mac"]), Has.None.Null);
    }

    private static (string, string)[] DryRun => [("dry", "run")];

    /// <summary>One of each kind, by the answer that its token gets.</summary>
    private static async Task<Dictionary<string, string>> MakeKeysAsync(MiraHost mira)
    {
        var client = mira.Client();
        var full = await mira.NewKeyAsync("operator", key =>
        {
            (key.Name, key.Owner, key.ExpiryDays, key.RateLimitPerMinute) = ("Łódź & sons", "team-ö", 7, 1234);
            (key.Permissions, key.Metadata) = (["documents:*"], new Dictionary<string, string> { ["env"] = "prod\"s" });
        });
        var bound = await mira.NewKeyAsync("viewer", key => key.AllowedIps = ["10.0.0.0/8", "2001:db8::/32"]);
        var revoked = await mira.NewKeyAsync("viewer");
        await client.RevokeKeyAsync(MiraHost.IdOf(revoked), "left the team");
        var disabled = await mira.NewKeyAsync("admin");
        await client.UpdateKeyAsync(MiraHost.IdOf(disabled), new UpdateKey { Disabled = true });
        var ended = await mira.NewKeyAsync("viewer", key => key.NeverExpires = true);
        var old = (await client.RotateKeyAsync(MiraHost.IdOf(ended), body: new RotateKey { GraceMinutes = 0 })).ApiKey!;
        var current = (await client.RotateKeyAsync(MiraHost.IdOf(ended))).ApiKey!;
        return new[]
        {
            (mira.Admin, "valid"), (full, "valid"), (current, "valid"), (old, "valid"), (ended, "key_rotated_out"),
            (bound, "ip_not_allowed"), (revoked, "key_revoked"), (disabled, "key_disabled"), (full[..^1] + (full[^1] == 'x' ? 'y' : 'x'), "invalid_key"),
        }.ToDictionary();
    }

    private async Task ExpectSameAsync(Dictionary<string, string> tokens, string views, params (string Name, string Value)[] settings)
    {
        await using var mira = MiraHost.Start(folder: _folder, settings: settings);
        await MiraProcess.WaitForAsync(async () => (await mira.Http().GetAsync("/health/ready")).IsSuccessStatusCode);
        foreach (var (token, code) in tokens)
        {
            var answer = await WireAnswer.OfAsync(mira.Http(token).GetAsync("/api/auth/validate"));
            Assert.That(answer.Status == 200 ? "valid" : answer.Code, Is.EqualTo(code));
        }

        Assert.That(await ViewsAsync(mira, mira.Admin), Is.EqualTo(views));
    }

    /// <summary>All that is shown of all keys, in the order of lists, but for their use.</summary>
    private static async Task<string> ViewsAsync(MiraHost mira, string admin)
    {
        var text = await mira.Http(admin).GetStringAsync("/api/keys?limit=200");
        var ids = JsonNode.Parse(text)!["keys"]!.AsArray().Select(key => (string)key!["key_id"]!);
        var tags = new List<string?>();
        foreach (var id in ids)
            tags.Add((await WireAnswer.OfAsync(mira.Http(admin).GetAsync($"/api/keys/{id}"))).Header("ETag"));
        return Regex.Replace(text, "\"last_used_at\":(null|\"[^\"]*\")", "") + string.Join(' ', tags);
    }

    private (string Name, string Value)[] Airtable() =>
        [Pepper, ("AIRTABLE_TOKEN", _airtable.Token), ("AIRTABLE_BASE_ID", _airtable.BaseId), ("AIRTABLE_URL", _airtable.Url.AbsoluteUri)];

    private async Task MakeTableAsync()
    {
        var (exitCode, _, error) = await MiraProcess.RunAsync(_folder, ["airtable", "create-table"], Airtable());
        Assert.That(exitCode, Is.Zero, error);
    }

    private Task<(int ExitCode, string Output, string Error)> CopyAsync(string from, string to, params (string Name, string Value)[] settings) => MiraProcess.RunAsync(
        _folder, ["store", "copy", "--from", from, "--to", to, .. settings.Intersect(DryRun).Any() ? (string[])["--dry-run"] : []], [.. settings.Except(DryRun)]);

    private static void Expect((int ExitCode, string Output, string Error) run, int exitCode, string summary)
    {
        Assert.That(run.ExitCode, Is.EqualTo(exitCode), run.Output + run.Error);
        Assert.That(run.Output.TrimEnd().Split('\n')[^1], Is.EqualTo(summary), run.Output);
        Assert.That(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(exitCode), run.Error);
    }

    private static void ExpectRefusal((int ExitCode, string Output, string Error) run, string said)
    {
        Assert.That((run.ExitCode, run.Output), Is.EqualTo((1, "")), run.Error);
        Assert.That(run.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), run.Error);
        Assert.That(run.Error, Does.StartWith("mira: ").And.Contain(said).And.Not.Contain(SharedStore.Pepper));
    }
}
