using System.Text;
using Mira.Application.Audit;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

/// <summary>
/// What an export is signed for: a checkpoint is worth the same wherever it came from, so none may be had for an event
/// that nobody wrote.
/// </summary>
internal sealed class ExportSignatureTests
{
    private Store _store = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync();
        for (var i = 0; i < 10; i++)
        {
            await _store.AddAsync(new HeldKey());
            _store.Clock.Advance(TimeSpan.FromDays(1));
        }
    }

    [TearDown]
    public void TearDown() => _store.Dispose();

    [TestCase(null, 5)]
    [TestCase(3, 5)]
    [TestCase(3, null)]
    [TestCase(1, 10)]
    [TestCase(null, null)]
    public async Task A_stretch_is_signed_at_both_ends(int? from, int? to)
    {
        var lines = await ExportAsync(from, to);
        var (flaw, proof) = Check(lines);
        Assert.That(flaw, Is.Null);
        Assert.That((proof.First, proof.IsPart), Is.EqualTo(((long?)(from ?? 1), from is not null || to is not null)));
    }

    [TestCase(null, 5)]
    [TestCase(6, null)]
    [TestCase(6, 8)]
    public async Task An_event_that_was_made_by_somebody_else_is_not_signed_for_at_either_end(int? from, int? to)
    {
        var forged = (await _store.EventsAsync())[4];
        var body = forged.Body.Replace("success", "failure", StringComparison.Ordinal);
        await _store.AskAsync($"UPDATE ledger SET body = '{body}', hash = '{LedgerEvent.HashOf(body)}' WHERE seq = 5");

        var lines = await ExportAsync(from, to);
        Assert.That(lines.Where(line => line.Checkpoint is { Seq: > 0 }), Is.Empty);
        Assert.That(lines, Is.Not.Empty, "given out as it is");
        Assert.That(Check(lines).ChainFault, Is.Not.Null);
    }

    [Test]
    public async Task Nothing_before_an_end_that_nobody_signed_is_signed_for_by_a_node_that_has_not_looked_yet()
    {
        await _store.AskAsync("UPDATE ledger_head SET signature = NULL");
        using (var other = new OtherNode(_store))
            await other.AddAsync(new HeldKey());
        using var started = new OtherNode(_store);
        Assert.That((await ExportAsync(null, 10, started)).Where(line => line.Checkpoint is { Seq: > 0 }), Is.Empty);
        Assert.That((await ExportAsync(3, 5, started)).Where(line => line.Checkpoint is { Seq: > 0 }), Is.Empty);
    }

    [Test]
    public async Task A_kept_checkpoint_is_as_good_as_the_end()
    {
        await _store.Archive.KeepAsync((await _store.Archive.ReadHeadAsync(CancellationToken.None)).Statement!, Store.AuditKey.Public, CancellationToken.None);
        await _store.AskAsync("UPDATE ledger_head SET signature = NULL");
        using (var other = new OtherNode(_store))
            await other.AddAsync(new HeldKey());
        using var started = new OtherNode(_store);
        Assert.That(Check(await ExportAsync(3, 5, started)).ChainFault, Is.Null);
    }

    /// <param name="from">The first event, null for the whole begin.</param>
    /// <param name="to">The last event, null for the whole end.</param>
    /// <param name="node">Who has seen nothing of the ledger yet.</param>
    private async Task<List<ExportedLine>> ExportAsync(int? from, int? to, OtherNode? node = null)
    {
        var events = await _store.EventsAsync();
        var handler = new ExportAuditEventsHandler(
            _store.Ledger, _store.Reader, _store.Archive, node?.Follower ?? _store.Follower, new EventViolations(node?.Follower ?? _store.Follower, _store.AggregatedEvents), Store.AuditKey, _store.Clock);
        var export = await handler.Handle(
            new ExportAuditEvents(from is { } first ? Rfc3339.Format(events[first - 1].At) : null, to is { } last ? Rfc3339.Format(events[last - 1].At.AddSeconds(1)) : null, "ndjson"),
            CancellationToken.None);
        return await export.Lines.ToListAsync();
    }

    private static (ChainFault? ChainFault, ChainProof Proof) Check(IEnumerable<ExportedLine> lines)
    {
        var proof = new ChainProof([Store.AuditKey.Public]);
        var file = new ExportFile(proof);
        var text = string.Concat(lines.Select(line => (line.Event is { } entry ? ExportFile.LineOf(entry) : line.Checkpoint!.ToLine()) + "\n"));
        return (file.Take(Encoding.UTF8.GetBytes(text)) ?? file.End(), proof);
    }
}
