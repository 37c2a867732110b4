using System.Net;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Tests.Sql;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Ledger;

/// <summary>When checkpoints are published, and how they come outside.</summary>
public sealed class CheckpointTests : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly TestFolder _folder = new();
    private Messages<CheckpointAnchor> _anchorLog = null!;
    private Messages<CheckpointPublisher> _log = null!;
    private Store _store = null!;

    [SetUp]
    public async Task SetUp()
    {
        (_anchorLog, _log) = (new Messages<CheckpointAnchor>(), new Messages<CheckpointPublisher>());
        _store = await Store.OpenAsync();
    }

    [TearDown]
    public void TearDown() => _store.Dispose();

    [OneTimeTearDown]
    public void Dispose() => _folder.Dispose();

    [Test]
    public async Task After_a_minute_with_something_new_and_at_the_end_where_the_ledger_stands_is_published()
    {
        var (publisher, anchor, file) = Make();
        using var disposed = anchor;
        using (publisher)
        {
            await _store.AddAsync(new HeldKey());
            await publisher.StartAsync(CancellationToken.None);
            Assert.That((await _log.NextAsync()).Text, Does.StartWith("The ledger stands at 1: {\"checkpoint\":"), "an older end that was never published is at once");
            await _store.AddAsync(new HeldKey());
            _store.Clock.Advance(TimeSpan.FromSeconds(59));
            await _store.AddAsync(new HeldKey());
            Assert.That(await KeptAsync(), Is.EqualTo(new[] { 1L }));
            await UntilAsync(publisher, 3);
            Assert.That(await KeptAsync(), Is.EqualTo(new[] { 1L, 3L }));

            _store.Clock.Advance(TimeSpan.FromMinutes(5));
            Assert.That(await KeptAsync(), Is.EqualTo(new[] { 1L, 3L }), "nothing new");
            await _store.AddAsync(new HeldKey());
            await publisher.StopAsync(CancellationToken.None);
            await _store.AddAsync(new HeldKey());
            await publisher.StoppedAsync(CancellationToken.None);
        }

        Assert.That((await KeptAsync())[^1], Is.EqualTo(5));
        var anchored = await File.ReadAllLinesAsync(file);
        Assert.That(anchored[^1], Does.Contain("\"seq\":5,"));
        foreach (var line in anchored)
            Assert.That(Checkpoint.TryReadLine(Encoding.UTF8.GetBytes(line), out var read) && Store.AuditKey.Public.Verifies(read));
    }

    [Test]
    public async Task An_end_that_the_service_did_not_sign_is_not_published()
    {
        var (publisher, anchor, file) = Make();
        using var disposed = anchor;
        using (publisher)
        {
            await _store.AddAsync(new HeldKey());
            await _store.AskAsync("UPDATE ledger_head SET signed_at = signed_at + 1");
            await publisher.StartAsync(CancellationToken.None);
            await publisher.StopAsync(CancellationToken.None);
            await publisher.StoppedAsync(CancellationToken.None);
        }

        Assert.That(await KeptAsync(), Is.Empty);
        Assert.That(await File.ReadAllTextAsync(file), Is.Empty);
    }

    [Test]
    public async Task A_checkpoint_that_somebody_else_put_there_stops_none_that_comes_after_it()
    {
        var (publisher, anchor, file) = Make();
        using var disposed = anchor;
        await _store.AskAsync($"INSERT INTO checkpoints (seq, hash, at, signature, signed_by) VALUES (9000000000000, 'x', 0, 'x', '{Store.AuditKey.Public.Id}'), (2, 'x', 0, 'x', '{Store.AuditKey.Public.Id}')");
        using (publisher)
        {
            for (var i = 0; i < 3; i++)
                await _store.AddAsync(new HeldKey());
            await publisher.StartAsync(CancellationToken.None);
            await UntilAnchoredAsync(publisher, 3);
            await _store.AddAsync(new HeldKey());
            await publisher.StopAsync(CancellationToken.None);
            await publisher.StoppedAsync(CancellationToken.None);
        }

        Assert.That((await AnchorFile.ReadTailAsync(file, CancellationToken.None)).Select(checkpoint => checkpoint.Seq), Is.EqualTo(new[] { 3L, 4L }));
        Assert.That(_store.Follower.IsBroken);
    }

    [Test]
    public async Task A_line_that_a_crash_has_torn_does_not_spoil_the_next()
    {
        var (publisher, anchor, file) = Make();
        publisher.Dispose();
        using (anchor)
        {
            await File.WriteAllTextAsync(file, "{\"checkpoint\":{\"at\":");
            anchor.Offer(Sign(1));
            anchor.Offer(Sign(2));
            await anchor.FlushAsync();
        }

        var lines = await File.ReadAllLinesAsync(file);
        Assert.That(lines, Has.Length.EqualTo(3));
        Assert.That(lines.Skip(1).Select(line => Checkpoint.TryReadLine(Encoding.UTF8.GetBytes(line), out _)), Is.All.True);
    }

    [Test]
    public async Task More_checkpoints_than_may_wait_leave_the_newest()
    {
        var file = _folder.At($"anchor-{Guid.NewGuid():N}");
        using var anchor = new CheckpointAnchor(AnchorOptions.Read(new SettingReader(_ => file)) with { MostWaiting = 10 }, _store.Clock, _anchorLog);
        var one = Sign(1);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 1_000; i++)
                anchor.Offer(one);
        })));
        anchor.Offer(Sign(2));
        await anchor.FlushAsync();

        var lines = await File.ReadAllLinesAsync(file);
        Assert.That(lines, Has.Length.EqualTo(10));
        Assert.That(lines[^1], Does.Contain("\"seq\":2,"));
        Assert.That(anchor.IsWorking, Is.True);
    }

    [Test]
    public async Task After_a_fail_over_to_a_ledger_that_ends_before_it_is_published_from_there_on()
    {
        var (publisher, anchor, file) = Make();
        using var disposed = anchor;
        using (publisher)
        {
            await _store.AddAsync(new HeldKey());
            await RunAsync("CREATE TABLE older AS SELECT * FROM ledger", "CREATE TABLE older_head AS SELECT * FROM ledger_head");
            for (var i = 0; i < 4; i++)
                await _store.AddAsync(new HeldKey());
            await publisher.StartAsync(CancellationToken.None);
            await UntilAnchoredAsync(publisher, 5);

            await RunAsync(
                "DELETE FROM ledger", "INSERT INTO ledger SELECT * FROM older", "DELETE FROM ledger_head", "INSERT INTO ledger_head SELECT * FROM older_head",
                "DELETE FROM checkpoints", "DELETE FROM secrets WHERE key_id IN (SELECT id FROM keys WHERE created_seq > 1)", "DELETE FROM keys WHERE created_seq > 1");
            await _store.Follower.RefreshAsync();
            Assert.That(_store.Follower.Seen.Seq, Is.EqualTo(1));
            await _store.AddAsync(new HeldKey());
            await publisher.StopAsync(CancellationToken.None);
            await publisher.StoppedAsync(CancellationToken.None);
        }

        var lines = await File.ReadAllLinesAsync(file);
        Assert.That(lines[^1], Does.Contain("\"seq\":2,"), "though 5 was published before");
    }

    [Test]
    public async Task A_keeper_that_is_away_is_tried_again_and_gets_all_of_it()
    {
        var port = FreePort.Find();
        using var anchor = new CheckpointAnchor(
            AnchorOptions.Read(new SettingReader(_ => $"http://127.0.0.1:{port}/keep")), _store.Clock, _anchorLog);
        await anchor.StartAsync(CancellationToken.None);
        await _store.Clock.Begun;
        Assert.That(anchor.IsWorking, Is.True);
        anchor.Offer(Sign(1));
        anchor.Offer(Sign(2));
        _store.Clock.Advance(Tick);
        Assert.That((await _anchorLog.NextAsync()).Level, Is.EqualTo(LogLevel.Error));
        Assert.That(anchor.IsWorking, Is.False);

        using var keeper = new HttpListener { Prefixes = { $"http://127.0.0.1:{port}/" } };
        keeper.Start();
        var bodies = new List<string>();
        var keeping = Task.Run(async () =>
        {
            // Refused once, then kept.
            for (var i = 0; i < 3; i++)
            {
                var context = await keeper.GetContextAsync();
                using var reader = new StreamReader(context.Request.InputStream);
                bodies.Add($"{context.Request.HttpMethod} {context.Request.ContentType} {await reader.ReadToEndAsync()}");
                context.Response.StatusCode = i == 0 ? 500 : 204;
                context.Response.Close();
            }
        });
        while (!keeping.IsCompleted)
        {
            _store.Clock.Advance(Tick);
            await Task.Yield();
        }

        Assert.That((await _anchorLog.NextAsync()).Level, Is.EqualTo(LogLevel.Information));
        Assert.That(bodies[0], Does.StartWith("POST application/json {\"checkpoint\":").And.EqualTo(bodies[1]));
        Assert.That(bodies[2], Does.Contain("\"seq\":2,"));
        await anchor.StopAsync(CancellationToken.None);
    }

    [TestCase("http://192.0.2.1/")]
    [TestCase("https://me:secret@keeper.example/")]
    [TestCase("file:///etc/anchor")]
    [TestCase("/nowhere/at/all")]
    public void What_cannot_be_an_anchor_is_refused(string text) => Assert.That(
        () => AnchorOptions.Read(new SettingReader(_ => text)),
        Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_AUDIT_ANCHOR: ").And.Message.Not.Contains("secret"));

    [Test]
    public void Without_one_nothing_is_kept_outside()
    {
        using var anchor = new CheckpointAnchor(AnchorOptions.Read(new SettingReader(_ => null)), _store.Clock, NullLogger<CheckpointAnchor>.Instance);
        Assert.That(anchor.IsWorking, Is.Null);
    }

    private async Task RunAsync(params string[] statements)
    {
        await using var connection = _store.Connect();
        foreach (var statement in statements)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = statement;
            await command.ExecuteNonQueryAsync();
        }
    }

    private static Checkpoint Sign(long seq) => Store.AuditKey.Sign(new LedgerPosition(seq, new string('a', 64)), HeldKey.Start);

    private (CheckpointPublisher Publisher, CheckpointAnchor Anchor, string File) Make()
    {
        var file = _folder.At($"anchor-{Guid.NewGuid():N}");
        var anchor = new CheckpointAnchor(AnchorOptions.Read(new SettingReader(_ => file)), _store.Clock, _anchorLog);
        return (new CheckpointPublisher(_store.Archive, _store.Gate, Store.AuditKey, _store.Follower, anchor, _store.Clock, _log), anchor, file);
    }

    private async Task UntilAsync(CheckpointPublisher publisher, long seq)
    {
        Assert.That(publisher.ExecuteTask!.IsCompleted, Is.False);
        while ((await KeptAsync())[^1] < seq)
        {
            _store.Clock.Advance(Tick);
            await Task.Yield();
        }
    }

    private async Task UntilAnchoredAsync(CheckpointPublisher publisher, long seq)
    {
        Assert.That(publisher.ExecuteTask!.IsCompleted, Is.False);
        while (!(await _log.NextAsync()).Text.StartsWith($"The ledger stands at {seq}:", StringComparison.Ordinal))
            _store.Clock.Advance(Tick);
    }

    private async Task<long[]> KeptAsync() =>
        [.. (await _store.Archive.FindCheckpointsAsync(new(0, long.MaxValue), null, 100, CancellationToken.None)).Select(checkpoint => checkpoint.Seq)];
}
