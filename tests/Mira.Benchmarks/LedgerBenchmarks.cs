using System.Text;
using BenchmarkDotNet.Attributes;
using Mira.Domain.Ledger;

namespace Mira.Benchmarks;

/// <summary>
/// What it costs to prove a ledger of 10 000 events from an export, and one signature. Events a second = 10 000 / mean.
/// The baseline hashes the same bytes, which no verifier can do without.
/// </summary>
[MemoryDiagnoser]
public class LedgerBenchmarks
{
    private const int Events = 10_000;
    private const int Interval = 1_000;

    private readonly AuditKey _key = AuditKey.Generate();
    private byte[] _export = [];
    private readonly List<byte[]> _bodies = [];
    private LedgerPosition _head = LedgerPosition.Start;

    [GlobalSetup]
    public void Setup()
    {
        var at = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        var actor = new Actor("mira_key_4fZq0TbLw9Xe", "ops", "admin", "192.0.2.7", "curl/8.5.0");
        var lines = new StringBuilder();
        for (var i = 0; i < Events; i++)
        {
            var entry = LedgerEvent.Append(_head, at.AddSeconds(i), new PendingEvent(EventType.KeyCreated, actor, "mira_key_000000000001", $"order-{i}")
            {
                Changes = [FieldChange.Of("name", null, $"key {i}"), FieldChange.Of("role", null, "viewer"), FieldChange.Of("expires_at", null, at)],
            });
            _head = entry.Position;
            _bodies.Add(Encoding.UTF8.GetBytes(entry.Body));
            lines.Append(ExportFile.LineOf(entry)).Append('\n');
            if (entry.Seq % Interval == 0)
                lines.Append(_key.Sign(_head, at).ToLine()).Append('\n');
        }

        _export = Encoding.UTF8.GetBytes(lines.ToString());
    }

    [Benchmark(Baseline = true, Description = "hash 10 000 events")]
    public int Hash() => _bodies.Sum(body => System.Security.Cryptography.SHA256.HashData(body)[0]);

    [Benchmark(Description = "prove 10 000 events")]
    public long Prove()
    {
        var proof = new ChainProof([_key.Public]);
        var file = new ExportFile(proof);
        var flaw = file.Take(_export) ?? file.End();
        return flaw is null ? proof.Last.Seq : throw new InvalidOperationException(flaw.ToString());
    }

    [Benchmark(Description = "sign an end")]
    public Checkpoint Sign() => _key.Sign(_head, DateTimeOffset.UnixEpoch);
}
