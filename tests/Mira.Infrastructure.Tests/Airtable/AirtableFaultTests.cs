using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>What the client makes of calls that go wrong.</summary>
internal sealed class AirtableFaultTests
{
    private AirtableNode _node = null!;

    [SetUp]
    public async Task StartAsync() => _node = await AirtableNode.StartAsync();

    [TearDown]
    public ValueTask StopAsync() => _node.DisposeAsync();

    [TestCase(AirtableFault.Error, false)]
    [TestCase(AirtableFault.ErrorAfter, true)]
    [TestCase(AirtableFault.Unavailable, false)]
    [TestCase(AirtableFault.UnavailableAfter, true)]
    [TestCase(AirtableFault.Silence, false)]
    [TestCase(AirtableFault.SilenceAfter, true)]
    [TestCase(AirtableFault.Reset, false)]
    [TestCase(AirtableFault.ResetAfter, true)]
    [TestCase(AirtableFault.TruncatedAfter, true)]
    [TestCase(AirtableFault.HugeAfter, true)]
    [TestCase(AirtableFault.HtmlAfter, true)]
    [TestCase(AirtableFault.BadGateway, false)]
    [TestCase(AirtableFault.Redirect, false)]
    public async Task An_upsert_without_a_proper_answer_has_an_unknown_fate_and_is_not_sent_again(AirtableFault fault, bool isApplied)
    {
        _node.Server.Faults.Always(fault);

        var failure = await FailureOf(UpsertAsync("k1"));

        Assert.That(failure.Fate, Is.EqualTo(DeliveryState.Unknown));
        Assert.That(_node.Server.Calls.Count(call => call.IsUpsert), Is.EqualTo(1));
        Assert.That(_node.Sheet.Snapshot(), Has.Count.EqualTo(isApplied ? 1 : 0));
    }

    [TestCase(AirtableFault.Error)]
    [TestCase(AirtableFault.ErrorAfter)]
    [TestCase(AirtableFault.UnavailableAfter)]
    [TestCase(AirtableFault.Silence)]
    [TestCase(AirtableFault.SilenceAfter)]
    [TestCase(AirtableFault.Reset)]
    [TestCase(AirtableFault.ResetAfter)]
    [TestCase(AirtableFault.TruncatedAfter)]
    [TestCase(AirtableFault.HugeAfter)]
    [TestCase(AirtableFault.HtmlAfter)]
    [TestCase(AirtableFault.BadGateway)]
    [TestCase(AirtableFault.Slow)]
    public async Task Reads_and_changes_by_record_id_outlive_passing_faults(AirtableFault fault)
    {
        var made = await UpsertAsync("k1");

        _node.Server.Faults.Next(fault, times: 2);
        var found = await _node.Client.FindAsync(made.Id, CallPriority.Change, CancellationToken.None);
        _node.Server.Faults.Next(fault, times: 2);
        var page = await _node.Client.ListAsync(null, null, null, CancellationToken.None);
        _node.Server.Faults.Next(fault, times: 2);
        var changed = await UpdateAsync(made.Id, 2);
        _node.Server.Faults.Next(fault, times: 2);
        await _node.Client.DeleteAsync(made.Id, CancellationToken.None);

        Assert.That((string?)found?.Fields["key_id"], Is.EqualTo("k1"));
        Assert.That(page.Records, Has.Count.EqualTo(1));
        Assert.That((int?)changed.Fields["version"], Is.EqualTo(2));
        Assert.That(_node.Sheet.Snapshot(), Is.Empty);
    }

    [TestCase(AirtableFault.Unavailable)]
    [TestCase(AirtableFault.SilenceAfter)]
    [TestCase(AirtableFault.ResetAfter)]
    public async Task An_update_that_is_never_answered_has_an_unknown_fate(AirtableFault fault)
    {
        var made = await UpsertAsync("k1");
        var before = _node.Server.Calls.Count;
        _node.Server.Faults.Always(fault);

        var failure = await FailureOf(UpdateAsync(made.Id, 2));

        Assert.That(failure.Fate, Is.EqualTo(DeliveryState.Unknown));
        Assert.That(_node.Server.Calls.Count - before, Is.EqualTo(3), "and nobody but the client itself repeats it");
    }

    // The platform sends a call without a body again by itself when its connection is closed; such calls would be
    // counted by nobody.
    [Test]
    public async Task A_read_whose_connection_is_closed_arrives_as_often_as_the_client_sends_it()
    {
        await using var closing = new ClosingServer();
        await using var node = AirtableNode.Beside(_node.Server, options => options with { Url = closing.Url });

        var failure = await FailureOf(node.Client.FindAsync("rec00000000000000", CallPriority.Change, CancellationToken.None));

        Assert.That(failure.Fate, Is.EqualTo(DeliveryState.Unknown));
        Assert.That(closing.Requests, Is.EqualTo(3));
    }

    [Test]
    public async Task An_attempt_without_answer_and_a_refused_one_leave_the_fate_unknown()
    {
        var made = await UpsertAsync("k1");
        _node.Server.Faults.Next(AirtableFault.ResetAfter);
        _node.Server.Faults.Next(AirtableFault.TooMany);

        var failure = await FailureOf(UpdateAsync(made.Id, 2));

        Assert.That((failure.Fate, failure.Status), Is.EqualTo((DeliveryState.Unknown, HttpStatusCode.TooManyRequests)));
        Assert.That((int?)_node.Sheet.Find("key_id", "k1")!.Fields["version"], Is.EqualTo(2));
    }

    [Test]
    public async Task Where_nobody_listens_nothing_was_sent()
    {
        await _node.Server.DisposeAsync();

        Assert.That((await FailureOf(UpsertAsync("k1"))).Fate, Is.EqualTo(DeliveryState.NotSent));
        Assert.That((await FailureOf(UpdateAsync("rec00000000000000", 2))).Fate, Is.EqualTo(DeliveryState.NotSent));
    }

    // As behind a wall that drops what comes. A queue of one that nobody accepts from is full with the second
    // connection.
    [Test]
    public async Task Where_no_connection_comes_about_nothing_was_sent()
    {
        using var wall = new Socket(SocketType.Stream, ProtocolType.Tcp);
        wall.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        wall.Listen(0);
        var address = (IPEndPoint)wall.LocalEndPoint!;
        using var first = new TcpClient();
        await first.ConnectAsync(address);
        await using var node = AirtableNode.Beside(_node.Server, options => options with
        {
            Url = new Uri($"http://{address}/"),
            ConnectPatience = TimeSpan.FromMilliseconds(100),
            ChangePatience = new AirtableTimeouts(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(60)),
        });

        var failure = await FailureOf(node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Change, CancellationToken.None));

        Assert.That(failure.Fate, Is.EqualTo(DeliveryState.NotSent), failure.ToString());
    }

    [Test]
    public async Task An_upsert_that_was_refused_for_too_many_calls_is_sent_again_when_nobody_waits_for_it()
    {
        await using var server = await AirtableServer.StartAsync(new AirtableServerOptions { CallsPerSecond = null, LockOut = TimeSpan.FromMilliseconds(1) });
        await using var node = AirtableNode.Beside(server);
        await TableSchema.CreateTableAsync(node.Client, CancellationToken.None);
        server.Faults.Next(AirtableFault.TooMany);

        await node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Background, CancellationToken.None);

        Assert.That(node.Sheet.Snapshot(), Has.Count.EqualTo(1));
        Assert.That(server.Calls.Count(call => call.IsUpsert), Is.EqualTo(2));
    }

    [TestCase("role", "root", 422, "INVALID_MULTIPLE_CHOICE_OPTIONS")]
    [TestCase("nonsense", "x", 422, "UNKNOWN_FIELD_NAME")]
    [TestCase("version", "x", 422, "INVALID_VALUE_FOR_COLUMN")]
    [TestCase("created_at", "yesterday at tea", 422, "INVALID_VALUE_FOR_COLUMN")]
    public async Task A_refusal_changed_nothing_is_not_repeated_and_names_no_value(string field, string value, int status, string type)
    {
        var failure = await FailureOf(_node.Client.UpsertAsync(
            [new JsonObject { ["key_id"] = "k1", [field] = value }], CallPriority.Change, CancellationToken.None));

        Assert.That((failure.Fate, (int?)failure.Status, failure.ErrorType), Is.EqualTo((DeliveryState.NotSent, status, type)));
        Assert.That(failure.ToString(), Does.Not.Contain(value == "x" ? "\"x\"" : value));
        Assert.That(_node.Server.Calls.Count(call => call.IsUpsert), Is.EqualTo(1));
    }

    [Test]
    public async Task A_token_that_may_not_write_is_refused()
    {
        await using var node = await AirtableNode.StartEmptyAsync(options: new AirtableServerOptions { Scopes = [AirtableServerOptions.ReadRecords] });
        node.Server.AddSheet(AirtableNode.Table, "key_id");

        var page = await node.Client.ListAsync(null, null, null, CancellationToken.None);
        var failure = await FailureOf(node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Change, CancellationToken.None));

        Assert.That(page.Records, Is.Empty);
        Assert.That((failure.Fate, (int?)failure.Status, failure.ErrorType), Is.EqualTo((DeliveryState.NotSent, 403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")));
    }

    [Test]
    public async Task A_wrong_token_is_refused_and_shown_nowhere()
    {
        const string token = "pat00000000000000.of-somebody-else";
        await using var other = AirtableNode.Beside(_node.Server, options => options with { Token = token });

        var failure = await FailureOf(other.Client.ListAsync(null, null, null, CancellationToken.None));

        Assert.That((failure.Fate, (int?)failure.Status), Is.EqualTo((DeliveryState.NotSent, 401)));
        Assert.That(failure.ToString(), Does.Not.Contain(token));
    }

    [Test]
    public async Task A_redirect_is_not_followed()
    {
        await using var elsewhere = await AirtableServer.StartAsync();
        _node.Server.Faults.Elsewhere = elsewhere.Url;
        _node.Server.Faults.Always(AirtableFault.Redirect);

        var failures = new[] { await FailureOf(UpsertAsync("k1")), await FailureOf(_node.Client.ListAsync(null, null, null, CancellationToken.None)) };

        Assert.That(failures.Select(failure => (int?)failure.Status), Is.All.EqualTo(307));
        Assert.That(elsewhere.Calls, Is.Empty);
    }

    [Test]
    public async Task A_change_that_finds_a_lock_out_fails_at_once_and_other_calls_wait_for_its_end()
    {
        await using var node = AirtableNode.Beside(_node.Server, options => options with { LockOut = TimeSpan.FromSeconds(1) });
        _node.Server.Faults.Next(AirtableFault.TooMany);
        _node.Server.Unlock();

        var first = await FailureOf(node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Change, CancellationToken.None));
        _node.Server.Unlock();
        var before = _node.Server.Calls.Count;
        var second = await FailureOf(node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Change, CancellationToken.None));
        Assert.That(_node.Server.Calls, Has.Count.EqualTo(before));
        var page = await node.Client.ListAsync(null, null, null, CancellationToken.None);

        Assert.That((first.Fate, second.Fate), Is.EqualTo((DeliveryState.NotSent, DeliveryState.NotSent)));
        Assert.That(second.RetryAfter, Is.InRange(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(1)));
        Assert.That(page.Records, Is.Empty);
    }

    [Test]
    public async Task Calls_used_up_for_the_month_are_not_waited_for()
    {
        _node.Server.Faults.Always(AirtableFault.MonthIsUsedUp);
        var before = _node.Server.Calls.Count;

        var failure = await FailureOf(_node.Client.ListAsync(null, null, null, CancellationToken.None));

        Assert.That((failure.Fate, failure.ErrorType), Is.EqualTo((DeliveryState.NotSent, "PUBLIC_API_BILLING_LIMIT_EXCEEDED")));
        Assert.That(_node.Server.Calls.Count - before, Is.EqualTo(1));
    }

    [Test]
    public async Task A_change_that_was_given_up_can_be_carried_out_later()
    {
        var made = await UpsertAsync("k1");
        var late = _node.Server.Hold(call => call.Method == "PATCH");

        await UpdateAsync(made.Id, 2);
        await UpdateAsync(made.Id, 3);
        await late.ReleaseAsync();

        Assert.That((int?)_node.Sheet.Find("key_id", "k1")!.Fields["version"], Is.EqualTo(2), "which is why a row is only believed when its version is the settled one");
    }

    private async Task<AirtableRecord> UpsertAsync(string keyId, CallPriority urgency = CallPriority.Change) =>
        (await _node.Client.UpsertAsync([AirtableNode.Row(keyId)], urgency, CancellationToken.None)).Single();

    private async Task<AirtableRecord> UpdateAsync(string recordId, int version) =>
        (await _node.Client.UpdateAsync([new AirtableRecord(recordId, new JsonObject { ["version"] = version })], CallPriority.Change, CancellationToken.None)).Single();

    private static async Task<AirtableException> FailureOf(Task call) => (await Assert.ThrowsAsync<AirtableException>(() => call))!;
}
