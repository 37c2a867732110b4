using System.Text;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

/// <summary>A ledger in memory with its signatures, and what of it lies outside.</summary>
internal sealed class Journal(AuditKey key, int interval = 1_000)
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private static readonly string[] Types = [EventType.KeyCreated, EventType.KeyRotated, EventType.AuthFailed, EventType.KeyUpdated];

    public AuditKey Key { get; set; } = key;

    public List<LedgerEvent> Events { get; } = [];

    public List<Checkpoint> Checkpoints { get; } = [];

    public LedgerPosition Head => Events.Count == 0 ? LedgerPosition.Start : Events[^1].Position;

    public static Journal Of(AuditKey key, int count, Random random, int interval = 1_000)
    {
        var journal = new Journal(key, interval);
        for (var i = 0; i < count; i++)
            journal.Append(random);
        return journal;
    }

    public void Append(Random random)
    {
        var actor = new Actor($"mira_key_{random.NextInt64(1_000_000_000_000):d12}", $"caller \"{random.Next()}\" 🔑", "admin", $"192.0.2.{random.Next(256)}", "agent/1.0");
        Append(new PendingEvent(Types[random.Next(Types.Length)], actor, $"mira_key_{random.NextInt64(1_000_000_000_000):d12}", $"c{random.Next()}")
        {
            Reason = random.Next(3) == 0 ? "a reason" : null,
            Changes = [FieldChange.Of("name", $"{random.Next()}", $"é{random.Next()}"), FieldChange.Of("limit", random.Next(), null)],
        });
    }

    public void Append(PendingEvent draft)
    {
        Events.Add(LedgerEvent.Append(Head, Start.AddMilliseconds(Events.Count), draft));
        if (Events.Count % interval == 0)
            Checkpoints.Add(Key.Sign(Head, Events[^1].At));
    }

    /// <summary>As the service exports it now.</summary>
    public byte[] Export() => Bytes(Lines());

    public List<string> Lines()
    {
        var lines = new List<string>();
        var next = 0;
        foreach (var entry in Events)
        {
            lines.Add(ExportFile.LineOf(entry));
            if (next < Checkpoints.Count && Checkpoints[next].Seq == entry.Seq && next++ >= 0 && entry.Seq != Head.Seq)
                lines.Add(Checkpoints[next - 1].ToLine());
        }

        lines.Add(Key.Sign(Head, Start.AddDays(1)).ToLine());
        return lines;
    }

    /// <summary>A stretch, as the service exports it now.</summary>
    public List<string> Part(int first, int last)
    {
        var now = Start.AddDays(1);
        var before = first == 1 ? LedgerPosition.Start : Events[first - 2].Position;
        return
        [
            Key.Sign(before, now).ToLine(),
            .. Events[(first - 1)..last].SelectMany(entry => (string[])[ExportFile.LineOf(entry), .. Checkpoints.Where(one => one.Seq == entry.Seq && one.Seq != last).Select(one => one.ToLine())]),
            Key.Sign(Events[last - 1].Position, now).ToLine(),
        ];
    }

    public static byte[] Bytes(IEnumerable<string> lines) => Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n")));

    public static (ChainFault? ChainFault, ChainProof Proof) Check(byte[] file, AuditPublicKey key, IEnumerable<Checkpoint>? anchors = null, int chunk = 1 << 18)
    {
        var proof = new ChainProof([key], anchors);
        var export = new ExportFile(proof);
        for (var from = 0; from < file.Length; from += chunk)
        {
            if (export.Take(file.AsSpan(from, Math.Min(chunk, file.Length - from))) is { } flaw)
                return (flaw, proof);
        }

        return (export.End(), proof);
    }
}
