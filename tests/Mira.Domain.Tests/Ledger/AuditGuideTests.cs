using System.Text;
using System.Text.RegularExpressions;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

/// <summary>The example in docs/audit.md is what this code makes of it.</summary>
internal sealed partial class AuditGuideTests
{
    private static readonly string Guide = RepositoryFiles.Read("docs", "audit.md");

    private static string Body => Json().Match(Guide).Groups[1].Value;

    [Test]
    public void The_event_has_the_bytes_and_the_hash_that_are_shown()
    {
        Assert.That(Guide, Does.Contain($"An example, {Encoding.UTF8.GetByteCount(Body)} bytes in one line"));
        Assert.That(Guide, Does.Contain($"Its hash:\n\n```\n{LedgerEvent.HashOf(Body)}\n```"));
        var actor = new Actor("mira_key_4fZq0TbLw9Xe", "Zoë \"ops\"", "admin", "192.0.2.7", "curl/8.5.0");
        var made = LedgerEvent.Append(
            LedgerPosition.Start, new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero), new PendingEvent(EventType.KeyCreated, actor, "mira_key_000000000001", "order-66")
            {
                Changes = [FieldChange.Of("name", null, "ci-pipeline"), FieldChange.Of("role", null, "viewer")],
            });
        Assert.That(made.Body, Is.EqualTo(Body));
    }

    [Test]
    public void The_checkpoint_is_signed_by_the_key_that_is_shown()
    {
        var line = Guide.Split('\n').Single(one => one.StartsWith("{\"checkpoint\":{\"at\"", StringComparison.Ordinal));
        Assert.That(Checkpoint.TryReadLine(Encoding.UTF8.GetBytes(line), out var checkpoint));
        Assert.That(AuditPublicKey.TryParse(Guide, out var keys, out var problem), problem);
        Assert.That(keys.Single().Verifies(checkpoint!));

        var export = Journal.Bytes([$"{Body[..^1]},\"hash\":\"{LedgerEvent.HashOf(Body)}\"}}", line]);
        var (flaw, proof) = Journal.Check(export, keys[0]);
        Assert.That((flaw, proof.Last.Seq), Is.EqualTo(((ChainFault?)null, 1L)));
    }

    [Test]
    public void Every_type_of_event_is_told()
    {
        var table = Guide[Guide.IndexOf("| type | what happened |", StringComparison.Ordinal)..];
        var told = Types().Matches(table[..table.IndexOf("\n\n", StringComparison.Ordinal)]).Select(match => match.Groups[1].Value);
        Assert.That(told, Is.EquivalentTo(EventType.All));
    }

    [GeneratedRegex("`([a-z]+\\.[a-z]+)`")]
    private static partial Regex Types();

    [GeneratedRegex("```json\n(.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Json();
}
