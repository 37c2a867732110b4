using Microsoft.Extensions.Logging;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Signs each head, and looks at the signature of the one before: nothing is built on an end that somebody else made without that being said in the
/// ledger itself.
/// </summary>
public sealed partial class HeadSeal(AuditKey key, LedgerFollower follower, ILogger<HeadSeal> log)
{
    /// <summary>Why an <see cref="EventType.IntegrityViolation"/> is recorded.</summary>
    public const string Reason = "head_signature";

    /// <summary>At the latest after so many events a head is kept for publication.</summary>
    public const int CheckpointInterval = 1_000;

    private volatile string? _sealed;

    public AuditKey Key => key;

    /// <summary>What has to be recorded before anything is appended to this head; mostly nothing.</summary>
    public EventDraft? Examine(LedgerHead head)
    {
        if (head.Seq == 0 || head.Hash == _sealed)
            return null;

        var signer = key.FindPublic(head.SignedBy);
        var finding = (head.Statement, signer) switch
        {
            (null, _) => "unsigned",
            (_, null) => "unknown_key",
            var (statement, known) => known.Verifies(statement) ? null : "wrong_signature",
        };
        if (finding is null)
            return signer == key.Public ? null : KeyHandover.Draft(signer!, key.Public);

        follower.ReportBroken();
        LogForged(head.Seq, finding);
        return new EventDraft(EventType.IntegrityViolation, Actor.System, null, null)
        {
            Outcome = "failure",
            Reason = Reason,
            Changes = [FieldChange.Of("finding", null, finding)],
        };
    }

    /// <summary>Signs where the ledger ends now; a head to be kept is handed back.</summary>
    internal StoredCheckpoint? Seal(LedgerHead head, long before, DateTimeOffset now)
    {
        head.Sign(key, now);
        _sealed = head.Hash;
        return head.Seq / CheckpointInterval > before / CheckpointInterval ? StoredCheckpoint.Of(head.Statement!, key.Public) : null;
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger's end at {Seq} was not made by this service ({Finding})")]
    private partial void LogForged(long seq, string finding);
}
