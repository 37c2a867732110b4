using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Audit;

/// <summary>
/// What is decided about the audit trail before anything is written to it: whose signatures count, and whether the
/// ledger is still the one that was published last.
/// </summary>
/// <param name="folder">Where the public key is laid; null when several nodes may use the store.</param>
public sealed partial class AuditKeyStartup(
    SqlLedgerArchive archive, ILedgerReader ledger, AuditKey key, HeadSigner seal, LedgerPoller poller, AnchorOptions anchor, TimeProvider clock,
    ILogger<AuditKeyStartup> log, DataFolder? folder = null)
{
    /// <summary>Needs the store, and a ledger poller that has seen where it stands.</summary>
    /// <exception cref="SettingException">The key does not work, or the ledger is signed by another one that it does
    /// not name.</exception>
    /// <exception cref="StoreUnavailableException">The ledger cannot be read.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        // The first change, too, does not wait for the library that signs while it holds the ledger's lock.
        if (!key.Public.Verifies(key.Sign(LedgerPosition.Start, clock.GetUtcNow())))
            throw new SettingException(AuditKeys.Setting, "does not sign what its public part verifies");

        // In this order: what another node publishes meanwhile is not behind the head.
        var published = anchor.File is { } file ? await ReadAsync(file, cancellationToken) : null;
        var head = await archive.ReadHeadAsync(cancellationToken);
        var owner = OwnerOf(head);
        if (owner == key.Public || await HasSignedAsync(published, cancellationToken))
            seal.TakeOver();
        if (owner is not null && owner != key.Public)
            await DemandAsync(owner, head, cancellationToken);
        if (owner == key.Public || head.Position == LedgerPosition.Start)
            Publish();
        if (key.Earlier.Count > 0)
            LogEarlier(string.Join(", ", key.Earlier.Select(earlier => earlier.Id)));
        if (published is not null)
            await CompareAsync(published, head, cancellationToken);
    }

    /// <summary>Tells who signs, once the ledger's end is signed so.</summary>
    /// <exception cref="SettingException">The public part cannot be written.</exception>
    public void Complete()
    {
        Publish();
        LogKey(key.Public.Id, key.Public.Text);
    }

    private void Publish()
    {
        if (folder is not null)
            AuditKeys.Publish(folder, key.Public);
    }

    /// <summary>Whoever has signed the end truly; null when nobody has.</summary>
    private static AuditPublicKey? OwnerOf(SignedHead head) =>
        head is { Statement: { } statement, SignedBy: { } text } && AuditPublicKey.FromText(text) is { } signer && signer.Verifies(statement) ? signer : null;

    /// <summary>Does anything show that this key was the last to sign here, whoever has signed the end?</summary>
    private async Task<bool> HasSignedAsync(Checkpoint? published, CancellationToken cancellationToken)
    {
        if ((published is not null && key.Public.Verifies(published)) || (folder is not null && AuditKeys.FindInFolder(folder).Published.Contains(key.Public)))
            return true;
        // One that the outgoing key has not signed may be anybody's.
        return await archive.FindHandoverAsync(cancellationToken) is { } handover && (handover.IsSigned || handover.To == key.Public)
            ? handover.To == key.Public
            : await archive.FindNewestAsync(cancellationToken) is { } newest && key.Public.Verifies(newest);
    }

    // Before anything is written: what is a mistake in the settings must not look like a forger's work in the ledger
    // for good. A file in the folder is no reason to believe a key, for who can write the ledger can put one there; he
    // who has the settings says whom to believe.
    private async Task DemandAsync(AuditPublicKey owner, SignedHead head, CancellationToken cancellationToken)
    {
        if (key.Earlier.Contains(owner))
        {
            if (seal.HasTakenOver)
                throw new SettingException(AuditKeys.Setting, $"names the earlier key {owner.Id}, which has signed the end of this ledger although the newer one had signed before: an older copy was put back, or somebody else has that key. Start with the earlier key alone to go back to its time, or take it out to go on, which is recorded as a violation");
            return;
        }

        var handover = await archive.FindHandoverAsync(cancellationToken);
        var isEnded = handover?.HasEnded(key.Public, head.Statement) == true;
        if (isEnded && !handover!.IsSigned && !seal.HasTakenOver)
            throw new SettingException(AuditKeys.Setting, $"may not be the key that signs this ledger any more: an event which it has not signed says that {owner.Id} has taken over from it. If you know that key (hold it against a line of an old log, or an auditor's copy), it is the one to give; if you do not, the ledger was forged, and an older copy has to be put back");
        if (isEnded && handover!.IsSigned)
            throw new SettingException(AuditKeys.Setting, $"is not the key that signs this ledger any more: {owner.Id} has taken over from it. Give that one, or put its public part behind this one to go back");
        var isGiven = folder is null || AuditKeys.FindInFolder(folder).Own != key.Public;
        if (isGiven && !seal.HasTakenOver)
            throw new SettingException(AuditKeys.Setting, $"does not name the key {owner.Id}, which has signed this ledger. If that is the one used so far (hold it against a line of an old log, or an auditor's copy), put its public part behind the private one, in the same PEM; if you do not know it, the ledger was forged");
    }

    private async Task<Checkpoint?> ReadAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            var tail = await AnchorFile.ReadTailAsync(file, cancellationToken);
            var last = tail.LastOrDefault(checkpoint => key.Earlier.Prepend(key.Public).Any(known => known.Verifies(checkpoint)));
            if (last is null && tail.Count > 0)
                LogStrange();
            return last;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(AnchorOptions.Setting, "is a file that cannot be read", exception);
        }
    }

    private async Task CompareAsync(Checkpoint published, SignedHead head, CancellationToken cancellationToken)
    {
        var finding = published.Seq > head.Position.Seq ? LedgerPoller.IsBehind
            : await LedgerVerification.HoldsAsync(ledger, archive, published, key.Earlier.Prepend(key.Public), cancellationToken) ? null
            : LedgerPoller.IsOther;
        if (finding is null)
            return;

        poller.ReportReplaced(finding);
        LogReplaced(head.Position.Seq, published, finding);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The audit trail is signed with the key {Id}, whose public part is {PublicKey}")]
    private partial void LogKey(string id, string publicKey);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Earlier audit keys are believed about the end of the ledger until this one has signed: {Ids}. Take them out after this start; they serve only who has stolen one")]
    private partial void LogEarlier(string ids);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The last checkpoints in the anchor were not signed by a key that is known, so the ledger is not held against them")]
    private partial void LogStrange();

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger stands at {Seq} and is not the one that was published: {Published} ({Finding})")]
    private partial void LogReplaced(long seq, Checkpoint published, string finding);
}
