using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

/// <summary>
/// Whoever can write the file but has not got the key is found out, whatever he does. <c>MIRA_ROUNDS=10</c> runs it in
/// full: 10 000 events, 1 000 attacks, 100 clean files; <c>MIRA_SEED</c> draws the same again.
/// </summary>
internal sealed class AttackTests
{
    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("MIRA_SEED"), out var seed) ? seed : Environment.TickCount & int.MaxValue;
    private static readonly int Count = Rounds.Of(1) == 1 ? 2_500 : 10_000;

    private readonly AuditKey _key = AuditKey.Generate();
    private readonly Random _random = new(Seed);
    private Journal _journal = null!;
    private List<string> _lines = null!;

    private static IEnumerable<string> Attacks =>
        ["edit", "delete", "insert", "swap", "duplicate", "truncate", "roll back", "re-chain", "re-chain the end", "cut lines", "move a checkpoint", "add bytes"];

    [OneTimeSetUp]
    public void SetUp()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        _journal = Journal.Of(_key, Count, _random);
        _lines = _journal.Lines();
    }

    [Test]
    public void Every_attack_is_found()
    {
        var kinds = Attacks.ToList();
        var rounds = Math.Min(Rounds.Of(100), 1_000);
        var anchors = _journal.Checkpoints.Append(_key.Sign(_journal.Head, Journal.Start)).ToList();
        for (var round = 0; round < rounds; round++)
        {
            var kind = kinds[round % kinds.Count];
            var (file, firstBad) = Attack(kind);
            var (flaw, _) = Journal.Check(file, _key.Public, anchors);
            Assert.That(flaw, Is.Not.Null, $"seed {Seed}, round {round}: {kind} at {firstBad}");
            if (firstBad is { } seq)
                Assert.That(flaw!.Seq, Is.EqualTo(seq), $"seed {Seed}, round {round}: {kind}: {flaw}");
        }
    }

    [Test]
    public void A_clean_file_raises_no_alarm()
    {
        var files = Math.Min(Rounds.Of(10), 100);
        for (var file = 0; file < files; file++)
        {
            var journal = Journal.Of(_key, 1 + _random.Next(Count), _random, 1 + _random.Next(1_500));
            var (flaw, proof) = Journal.Check(journal.Export(), _key.Public, journal.Checkpoints);
            Assert.That(flaw, Is.Null, $"seed {Seed}, file {file}");
            Assert.That((proof.First, proof.Last, proof.IsPart), Is.EqualTo(((long?)1, journal.Head, false)));
        }
    }

    [Test]
    public void Without_an_anchor_only_a_whole_older_copy_passes()
    {
        // The end of an export that was cut right behind a checkpoint within it was true once; that there was more only
        // an anchor knows.
        var cut = _lines.Take(_lines.FindIndex(line => line.StartsWith("{\"checkpoint\"", StringComparison.Ordinal)) + 1);
        Assert.That((Journal.Check(Journal.Bytes(cut), _key.Public)).ChainFault, Is.Null);
        var flaw = (Journal.Check(Journal.Bytes(cut), _key.Public, _journal.Checkpoints)).ChainFault;
        Assert.That(flaw!.Seq, Is.EqualTo(1_001));
        Assert.That(flaw.Problem, Does.Contain($"up to {_journal.Checkpoints[^1].Seq}"));
    }

    /// <returns>The file, and the first bad event when there is only one answer to that.</returns>
    private (byte[] File, long? FirstBad) Attack(string kind)
    {
        var lines = _lines.ToList();
        // An event: taking a checkpoint away takes away a proof between, and changes nothing that is told.
        var at = DrawEvent();
        switch (kind)
        {
            case "edit":
                return (EditByte(), null);
            case "add bytes":
                lines[at] = lines[at].Insert(_random.Next(lines[at].Length), $"{(char)('a' + _random.Next(26))}");
                break;
            case "delete":
                lines.RemoveAt(at);
                return (Journal.Bytes(lines), SeqAt(at));
            case "insert":
                lines.Insert(at, ExportFile.LineOf(LedgerEvent.Append(new LedgerPosition(SeqAt(at) - 1, _journal.Events[(int)SeqAt(at) - 1].PreviousHash), Journal.Start, Forged)));
                break;
            case "swap":
                var other = DrawEvent(except: at);
                (lines[at], lines[other]) = (lines[other], lines[at]);
                return (Journal.Bytes(lines), Math.Min(SeqAt(at), SeqAt(other)));
            case "duplicate":
                lines.Insert(_random.Next(lines.Count + 1), lines[_random.Next(lines.Count)]);
                break;
            case "cut lines":
                lines.RemoveRange(at, _random.Next(1, lines.Count - at));
                break;
            case "move a checkpoint":
                var checkpoint = lines.FindIndex(line => Checkpoint.IsLine(System.Text.Encoding.UTF8.GetBytes(line)));
                var moved = lines[checkpoint];
                lines.RemoveAt(checkpoint);
                lines.Insert(at < checkpoint ? at : at - 1, moved);
                break;
            case "truncate":
                return (Truncate(lines), null);
            case "roll back":
                return (RollBack(at), null);
            case "re-chain":
                return (Rechain((int)SeqAt(at), keepSignatures: true), null);
            default:
                return (Rechain(Count - _random.Next(Count % 1_000 == 0 ? 999 : Count % 1_000), keepSignatures: false), null);
        }

        return (Journal.Bytes(lines), null);
    }

    private static PendingEvent Forged => new(EventType.KeyCreated, Actor.System, "mira_key_000000000000", null);

    private byte[] EditByte()
    {
        var file = Journal.Bytes(_lines);
        var at = _random.Next(file.Length);
        file[at] = (byte)(file[at] ^ (1 << _random.Next(8)));
        return file;
    }

    // Anywhere: within a line, between two, and right behind a checkpoint, where only an anchor tells.
    private byte[] Truncate(List<string> lines)
    {
        if (_random.Next(2) == 0)
            return Journal.Bytes(lines.Take(_random.Next(lines.Count)));
        var file = Journal.Bytes(lines);
        return file[.._random.Next(file.Length)];
    }

    // An export of another day, signed with the right key and whole in itself.
    private byte[] RollBack(int at)
    {
        var older = new Journal(_key);
        older.Events.AddRange(_journal.Events.Take(Math.Max(1, (int)SeqAt(at) - 1)));
        older.Checkpoints.AddRange(_journal.Checkpoints.Where(checkpoint => checkpoint.Seq <= older.Events.Count));
        return older.Export();
    }

    // One event is another, and all after it are made to follow. He signs with a key of his own, or lets the old
    // signatures stand.
    private byte[] Rechain(int from, bool keepSignatures)
    {
        var own = AuditKey.Generate();
        var forged = new Journal(own);
        forged.Events.AddRange(_journal.Events.Take(from - 1));
        forged.Checkpoints.AddRange(_journal.Checkpoints.Where(checkpoint => checkpoint.Seq < from));
        forged.Append(Forged);
        foreach (var _ in _journal.Events.Skip(from))
            forged.Append(_random);
        if (!keepSignatures)
            return forged.Export();

        var lines = forged.Lines();
        lines[^1] = _lines[^1];
        return Journal.Bytes(lines);
    }

    private int DrawEvent(int except = -1)
    {
        while (true)
        {
            var at = _random.Next(_lines.Count);
            if (at != except && _lines[at].StartsWith("{\"actor\"", StringComparison.Ordinal))
                return at;
        }
    }

    private long SeqAt(int line) => _lines.Take(line + 1).Count(text => text.StartsWith("{\"actor\"", StringComparison.Ordinal));
}
