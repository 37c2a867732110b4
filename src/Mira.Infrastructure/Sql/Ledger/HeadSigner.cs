using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Signs each head, and looks at the signature of the one before: nothing is built on an end that somebody else made
/// without that being said in the ledger itself.
/// </summary>
public sealed partial class HeadSigner(AuditKey key, LedgerPoller poller, ILogger<HeadSigner> log)
{
    /// <summary>At the latest after so many events a head is kept for publication.</summary>
    public const int CheckpointInterval = 1_000;

    private volatile string? _sealed;
    private volatile bool _hasTakenOver;

    public AuditKey Key => key;

    /// <summary>
    /// Has another key taken over from this one? Then what this node wrote would look like a forger's.
    /// </summary>
    public bool IsSuperseded { get; private set; }

    /// <summary>Is it known that the ledger was signed by this key before?</summary>
    public bool HasTakenOver => _hasTakenOver;

    /// <summary>
    /// Says that the ledger has been signed by this key before: the time of earlier ones is over, and what they sign
    /// now is not believed.
    /// </summary>
    public void TakeOver() => _hasTakenOver = true;

    /// <summary>What has to be recorded before anything is appended to this head; mostly nothing.</summary>
    /// <param name="findHandover">Looks for the last change of keys.</param>
    /// <exception cref="LedgerUnavailableException">Another key has taken over, which this node has not
    /// got.</exception>
    internal async Task<PendingEvent?> ExamineAsync(LedgerHead head, Func<Task<AuditKeyRotation?>> findHandover)
    {
        if (head.Seq == 0)
            return null;

        if (head.Hash == _sealed)
        {
            TakeOver();
            return null;
        }

        var signer = key.FindPublic(head.SignedBy);
        if (signer is null && await findHandover() is { IsSigned: true } handover && handover.HasEnded(key.Public, head.Statement))
        {
            if (!IsSuperseded)
                LogSuperseded();
            IsSuperseded = true;
            throw new LedgerUnavailableException("Another audit key has taken over from this node's.");
        }

        IsSuperseded = false;
        var finding = (head.Statement, signer) switch
        {
            (null, _) => "unsigned",
            (_, null) => "unknown_key",
            var (statement, known) when !known.Verifies(statement) => "wrong_signature",
            _ => signer != key.Public && _hasTakenOver ? "retired_key" : null,
        };
        if (finding is not null)
        {
            poller.ReportBroken();
            LogForged(head.Seq, finding);
            return UnauthenticatedHead.Draft(finding);
        }

        if (signer != key.Public)
            return new AuditKeyRotation(signer!, key.Public, key.SignHandover(signer!, head.Seq + 1), head.Seq + 1).Draft();

        TakeOver();
        return null;
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

    [LoggerMessage(Level = LogLevel.Critical, Message = "Another audit key has taken over from this node's, which records nothing any more: give it the new one")]
    private partial void LogSuperseded();
}
