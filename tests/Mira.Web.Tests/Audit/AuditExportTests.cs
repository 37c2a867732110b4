using System.Text;
using System.Text.Json;
using Mira.Client;
using Mira.Domain.Ledger;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Audit;

/// <summary>What an auditor takes home, and what it proves there.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class AuditExportTests : SharedHost
{
    private const string Path = "/api/audit/export";

    [Test]
    public async Task An_export_is_proved_by_the_public_key_alone()
    {
        await CreateAsync();
        var (flaw, proof) = await CheckAsync(await AdminHttp.CallAsync("GET", Path));
        Assert.That(flaw, Is.Null);
        Assert.That((proof.First, proof.IsPart), Is.EqualTo(((long?)1, false)));
        Assert.That(proof.Last.Seq, Is.GreaterThan(2));
    }

    [Test]
    public async Task Each_line_is_an_event_as_the_list_shows_it_oldest_first_and_the_last_one_signs_for_all()
    {
        var made = await CreateAsync();
        var answer = await AdminHttp.CallAsync("GET", Path);
        Assert.That(answer.Header("Content-Type"), Is.EqualTo("application/x-ndjson"));
        var lines = answer.Text.TrimEnd('\n').Split('\n').Select(line => JsonSerializer.Deserialize<JsonElement>(line)).ToList();
        var events = lines.Where(line => !line.TryGetProperty("checkpoint", out _)).ToList();
        Assert.That(events.Select(entry => entry.GetProperty("seq").GetInt64()), Is.Ordered.And.EqualTo(Enumerable.Range(1, events.Count)));
        Assert.That(events[^1].GetProperty("type").GetString(), Is.EqualTo("audit.exported"));
        Assert.That(events[^1].GetProperty("actor").GetProperty("key_id").GetString(), Is.EqualTo(MiraHost.IdOf(Host.Admin)));

        var listed = (await AdminHttp.CallAsync("GET", $"/api/audit?key_id={made.KeyId}")).Json.GetProperty("events")[0];
        var exported = events.Single(entry => entry.GetProperty("subject").GetString() == made.KeyId);
        Assert.That(JsonElement.DeepEquals(exported, listed), exported.ToString());

        var end = lines[^1].GetProperty("checkpoint");
        Assert.That(end.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(new[] { "seq", "hash", "at", "signature" }));
        Assert.That((end.GetProperty("seq").GetInt64(), end.GetProperty("hash").GetString()), Is.EqualTo(((long)events.Count, events[^1].GetProperty("hash").GetString())));
    }

    [Test]
    public async Task A_part_says_where_it_begins_and_is_proved_too()
    {
        Host.Clock!.Advance(TimeSpan.FromMilliseconds(5));
        var from = Now;
        var made = await CreateAsync();
        Host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        var to = Now;
        await CreateAsync();
        var answer = await AdminHttp.CallAsync("GET", $"{Path}?from={from:yyyy-MM-dd'T'HH:mm:ss.fff'Z'}&to={to:yyyy-MM-dd'T'HH:mm:ss.fff'Z'}");
        var (flaw, proof) = await CheckAsync(answer);
        Assert.That(flaw, Is.Null, answer.Text);
        Assert.That((proof.IsPart, proof.Last.Seq - proof.First), Is.EqualTo((true, (long?)0)));
        Assert.That(answer.Text.Split('\n'), Has.Length.EqualTo(4).And.One.Contains(made.KeyId));
    }

    [Test]
    public async Task Nothing_in_a_time_is_nothing_and_yet_on_record()
    {
        Assert.That((await AdminHttp.CallAsync("GET", $"{Path}?to=2001-01-01T00:00:00Z")).Text, Is.Empty);
        var recorded = (await Admin.ListAuditEventsAsync(type: "audit.exported", limit: 1)).Events.Single();
        Assert.That(recorded.Changes!["to_time"].To!.ToString(), Does.StartWith("2001"));
    }

    [TestCase("from=yesterday", "from")]
    [TestCase("to=", "to")]
    [TestCase("from=2030-01-01T12:00:00Z&from=2030-01-01T12:00:00Z", "from")]
    public async Task A_parameter_that_cannot_be_right_is_refused(string query, string field)
    {
        var answer = await AdminHttp.CallAsync("GET", $"{Path}?{query}");
        Assert.That((answer.Verdict, answer.Blamed.Single()), Is.EqualTo(("400 invalid_parameter", field)));
    }

    [TestCase("text/csv", "text/csv; charset=utf-8; header=present")]
    [TestCase("text/csv, */*", "text/csv; charset=utf-8; header=present")]
    [TestCase("text/csv, */*;q=0.1", "text/csv; charset=utf-8; header=present")]
    [TestCase("*/*", "application/x-ndjson")]
    [TestCase("application/json", "application/x-ndjson")]
    [TestCase("application/x-ndjson", "application/x-ndjson")]
    [TestCase("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson")]
    [TestCase("text/html", null)]
    [TestCase("text/csv;q=0", null)]
    public async Task It_comes_in_the_form_that_is_asked_for(string accept, string? type)
    {
        var answer = await AdminHttp.CallAsync("GET", Path, headers: ("Accept", accept));
        Assert.That(type is null ? answer.Verdict : answer.Header("Content-Type"), Is.EqualTo(type ?? "406 not_acceptable"));
    }

    [Test]
    public async Task A_table_for_people_holds_no_formula()
    {
        var formulas = new[] { "=1+1", "+1", "-1", "@SUM(A1)", "a,\"b\"" };
        foreach (var name in formulas)
        {
            var made = await CreateAsync("admin", name: name);
            await Host.Client(made.ApiKey).CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer" });
            await Host.Client(made.ApiKey).ListKeysAsync();
        }

        var table = (await AdminHttp.CallAsync("GET", Path, headers: ("Accept", "text/csv"))).Text;
        Assert.That(table, Does.StartWith("seq,at,type,actor_key_id,actor_name,").And.EndWith("\r\n"));
        Assert.That(table, Does.Contain(",'=1+1,").And.Contain(",'+1,").And.Contain(",'-1,").And.Contain(",'@SUM(A1),").And.Contain(",\"a,\"\"b\"\"\","));
        Assert.That(table, Does.Not.Match("(?m)(?:^|,)\"?[-=+@]").And.Not.Contain("checkpoint"));
    }

    [Test]
    public async Task What_cannot_be_recorded_is_not_given_out()
    {
        await using var mira = MiraHost.Start();
        await using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={System.IO.Path.Combine(mira.Folder.Data, "mira.db")};Pooling=false");
        await connection.OpenAsync();
        await using (var command = connection.CreateCommand())
        {
            command.CommandText = "BEGIN IMMEDIATE";
            await command.ExecuteNonQueryAsync();
        }

        Assert.That((await mira.Http(mira.Admin).CallAsync("GET", Path)).Verdict, Is.EqualTo("503 audit_unavailable"));
    }

    [Test]
    public async Task The_public_key_is_the_one_beside_the_data()
    {
        var answer = await AdminHttp.CallAsync("GET", "/api/audit/public-key");
        Assert.That((answer.Header("Content-Type"), answer.Text), Is.EqualTo(("application/x-pem-file", await File.ReadAllTextAsync(System.IO.Path.Combine(Host.Folder.Data, "audit-public.pem")))));
        Assert.That((await AdminHttp.CallAsync("GET", "/api/audit/public-key", headers: ("Accept", "application/json"))).Verdict, Is.EqualTo("200"));
        Assert.That((await AdminHttp.CallAsync("GET", "/api/audit/public-key", headers: ("Accept", "text/html"))).Verdict, Is.EqualTo("406 not_acceptable"));
    }

    [Test]
    public async Task The_typed_client_takes_an_export()
    {
        using var export = await Admin.ExportAuditEventsAsync();
        using var reader = new StreamReader(export.Stream);
        Assert.That(await reader.ReadToEndAsync(), Does.Contain("\"checkpoint\""));
    }

    private async Task<(ChainFault? ChainFault, ChainProof Proof)> CheckAsync(Reply export)
    {
        Assert.That(AuditPublicKey.TryParse((await AdminHttp.CallAsync("GET", "/api/audit/public-key")).Text, out var keys, out _));
        var proof = new ChainProof(keys);
        var file = new ExportFile(proof);
        return (file.Take(Encoding.UTF8.GetBytes(export.Text)) ?? file.End(), proof);
    }
}
