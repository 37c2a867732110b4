using System.Text;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

internal sealed class ChainProofTests
{
    private readonly AuditKey _key = AuditKey.Generate();
    private readonly Random _random = new(1);

    [Test]
    public void A_part_is_proved_between_two_statements_of_one_moment()
    {
        var journal = Journal.Of(_key, 50, _random, 10);
        var (flaw, proof) = Journal.Check(Journal.Bytes(journal.Part(15, 35)), _key.Public, [.. journal.Checkpoints, _key.Sign(journal.Head, Journal.Start)]);
        Assert.That(flaw, Is.Null);
        Assert.That((proof.IsPart, proof.First, proof.Last.Seq), Is.EqualTo((true, (long?)15, 35L)));
        Assert.That((Journal.Check(Journal.Bytes(journal.Part(1, 5)), _key.Public)).ChainFault, Is.Null);
    }

    [Test]
    public void A_part_or_a_whole_cannot_be_made_smaller()
    {
        var journal = Journal.Of(_key, 50, _random, 10);
        var part = journal.Part(15, 35);
        // From the checkpoint within to the end, and from the begin to that checkpoint.
        var within = part.FindIndex(1, line => line.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
        Assert.That((Journal.Check(Journal.Bytes(part.Skip(within)), _key.Public)).ChainFault!.Seq, Is.EqualTo(21));
        Assert.That((Journal.Check(Journal.Bytes(part.Take(within + 1)), _key.Public)).ChainFault!.Seq, Is.EqualTo(15));

        var whole = journal.Lines();
        var first = whole.FindIndex(line => line.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
        Assert.That((Journal.Check(Journal.Bytes(whole.Skip(first)), _key.Public)).ChainFault!.Seq, Is.EqualTo(11));
        Assert.That((Journal.Check(Journal.Bytes(whole.Skip(20)), _key.Public)).ChainFault, Is.Not.Null);
    }

    [Test]
    public void A_ledger_that_was_pruned_begins_behind_a_signed_cut_and_behind_nothing_else()
    {
        var journal = Journal.Of(_key, 50, _random, 10);
        var rest = journal.Lines().SkipWhile(line => !line.Contains("\"seq\":21,", StringComparison.Ordinal)).ToList();
        string[] cut = [_key.SignCut(journal.Events[19].Position, Journal.Start.AddHours(1)).ToLine()];
        var (flaw, proof) = Journal.Check(Journal.Bytes([.. cut, .. rest]), _key.Public, journal.Checkpoints);
        Assert.That(flaw, Is.Null);
        Assert.That((proof.IsPart, proof.First), Is.EqualTo((false, (long?)21)));
        Assert.That((Journal.Check(Journal.Bytes(rest), _key.Public)).ChainFault!.Seq, Is.EqualTo(1));

        // The checkpoint of the same place is no cut, and a cut of another place fits nowhere.
        Assert.That((Journal.Check(Journal.Bytes([journal.Checkpoints[1].ToLine(), .. rest]), _key.Public)).ChainFault, Is.Not.Null);
        string[] other = [_key.SignCut(journal.Events[9].Position, Journal.Start).ToLine()];
        Assert.That((Journal.Check(Journal.Bytes([.. other, .. rest]), _key.Public)).ChainFault!.Seq, Is.EqualTo(11));
        // It is still the whole of what there is: a cut end shows.
        var flawed = (Journal.Check(Journal.Bytes([.. cut, .. rest.Take(11)]), _key.Public, [_key.Sign(journal.Head, Journal.Start)])).ChainFault;
        Assert.That(flawed!.Seq, Is.EqualTo(31));
    }

    [Test]
    public void Another_key_takes_over_and_what_the_first_one_signed_still_counts()
    {
        var next = AuditKey.Generate();
        var journal = Journal.Of(_key, 25, _random, 10);
        journal.Append(new AuditKeyRotation(_key.Public, next.Public).Draft());
        journal.Key = next;
        for (var i = 0; i < 10; i++)
            journal.Append(_random);

        var (flaw, proof) = Journal.Check(journal.Export(), next.Public, journal.Checkpoints);
        Assert.That(flaw, Is.Null);
        Assert.That(proof.Last, Is.EqualTo(journal.Head));
        Assert.That((Journal.Check(journal.Export(), _key.Public)).ChainFault!.Seq, Is.EqualTo(30), "who knows the first key only does not know who went on");

        var forged = journal.Lines();
        forged[10] = AuditKey.Generate().Sign(journal.Events[9].Position, Journal.Start).ToLine();
        Assert.That((Journal.Check(Journal.Bytes(forged), next.Public)).ChainFault!.Seq, Is.EqualTo(10));
    }

    [Test]
    public void Nobody_brings_in_a_key_of_his_own()
    {
        var own = AuditKey.Generate();
        var journal = Journal.Of(_key, 25, _random, 10);
        journal.Append(new AuditKeyRotation(own.Public, _key.Public).Draft());
        journal.Key = own;
        journal.Append(_random);
        Assert.That((Journal.Check(journal.Export(), _key.Public)).ChainFault!.Seq, Is.EqualTo(27));

        journal.Append(new AuditKeyRotation(own.Public, _key.Public).Draft());
        Assert.That((Journal.Check(journal.Export(), _key.Public)).ChainFault, Is.Not.Null);
    }

    [Test]
    public void An_anchor_that_says_something_else_or_that_nobody_signed_is_told()
    {
        var own = AuditKey.Generate();
        var journal = Journal.Of(_key, 25, _random, 10);
        Assert.That((Journal.Check(journal.Export(), _key.Public, [_key.Sign(new LedgerPosition(7, new string('0', 64)), Journal.Start)])).ChainFault!.Seq, Is.EqualTo(7));
        Assert.That((Journal.Check(journal.Export(), _key.Public, [own.Sign(journal.Events[6].Position, Journal.Start)])).ChainFault!.Seq, Is.EqualTo(7));
        Assert.That((Journal.Check(journal.Export(), _key.Public, [_key.Sign(journal.Events[6].Position, Journal.Start)])).ChainFault, Is.Null);
    }

    [Test]
    public void A_ledger_that_went_on_from_an_end_that_nobody_signed_is_never_whole_again()
    {
        var journal = Journal.Of(_key, 25, _random, 10);
        journal.Append(UnauthenticatedHead.Draft("unsigned"));
        for (var i = 0; i < 20; i++)
            journal.Append(_random);

        var flaw = Journal.Check(journal.Export(), _key.Public).ChainFault!;
        Assert.That(flaw.Seq, Is.EqualTo(21), "the first behind the last checkpoint before it");
        Assert.That(flaw.Problem, Does.Contain("event 26 tells of it"));
        Assert.That(Journal.Check(Journal.Bytes(journal.Part(24, 46)), _key.Public).ChainFault!.Seq, Is.EqualTo(24));
        Assert.That(Journal.Check(Journal.Bytes(journal.Part(26, 46)), _key.Public).ChainFault!.Seq, Is.EqualTo(26), "what an export begins with was signed afterwards");
        Assert.That(Journal.Check(Journal.Bytes(journal.Part(27, 46)), _key.Public).ChainFault, Is.Null, "a stretch behind it says nothing of it");
    }

    [Test]
    public void It_is_whole_when_a_true_checkpoint_is_about_the_very_end_that_was_found()
    {
        var journal = Journal.Of(_key, 25, _random, 10);
        var before = journal.Head;
        journal.Append(UnauthenticatedHead.Draft("unsigned"));
        for (var i = 0; i < 20; i++)
            journal.Append(_random);

        Assert.That(Journal.Check(journal.Export(), _key.Public, [_key.Sign(before, Journal.Start)]).ChainFault, Is.Null);
        Assert.That(Journal.Check(journal.Export(), _key.Public, [AuditKey.Generate().Sign(before, Journal.Start)]).ChainFault, Is.Not.Null);
        var rest = journal.Lines().SkipWhile(line => !line.Contains("\"seq\":26,", StringComparison.Ordinal)).ToList();
        Assert.That(Journal.Check(Journal.Bytes([_key.SignCut(before, Journal.Start).ToLine(), .. rest]), _key.Public).ChainFault, Is.Null);

        var next = AuditKey.Generate();
        journal.Checkpoints.Add(_key.Sign(before, Journal.Start));
        journal.Checkpoints.Sort((one, other) => one.Seq.CompareTo(other.Seq));
        journal.Append(new AuditKeyRotation(_key.Public, next.Public).Draft());
        journal.Key = next;
        Assert.That(Journal.Check(journal.Export(), next.Public).ChainFault, Is.Null, "signed by the key that was the right one then");
    }

    [TestCase("7")]
    [TestCase("{\"head_signature\":1}")]
    [TestCase("[\"head_signature\",\"audit_key_changed\"]")]
    public void An_event_that_is_of_another_form_than_any_tells_nothing_of_the_chain(string reason)
    {
        foreach (var type in new[] { EventType.IntegrityViolation, EventType.SystemStarted })
        {
            var entry = LedgerEvent.Append(LedgerPosition.Start, Journal.Start, new PendingEvent(type, Actor.System, null, null));
            var body = entry.Body.Replace("\"reason\":null", $"\"reason\":{reason}", StringComparison.Ordinal);
            var proof = new ChainProof([_key.Public]);
            Assert.That(proof.Add(Encoding.UTF8.GetBytes(body), LedgerEvent.HashOf(body)), Is.Null);
        }
    }

    [TestCase("")]
    [TestCase("\n")]
    [TestCase("{}\n")]
    [TestCase("{\"checkpoint\":{}}\n")]
    [TestCase("{\"checkpoint\":null}\n")]
    [TestCase("no export\n")]
    public void What_is_no_export_proves_nothing(string text) =>
        Assert.That((Journal.Check(Encoding.UTF8.GetBytes(text), _key.Public)).ChainFault!.Seq, Is.EqualTo(1).Or.Zero);

    [Test]
    public void Lines_of_any_length_are_read_however_they_come()
    {
        var journal = new Journal(_key);
        journal.Append(new PendingEvent(EventType.KeyCreated, Actor.System, null, null) { Reason = new string('x', 3 << 20) });
        journal.Append(_random);
        var (flaw, proof) = Journal.Check(journal.Export(), _key.Public, chunk: 4_099);
        Assert.That(flaw, Is.Null);
        Assert.That(proof.Last, Is.EqualTo(journal.Head));
    }
}
