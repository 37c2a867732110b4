using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>
/// What is settled about the audit trail before anything is written to it: whose signatures count, and whether the ledger is still the one that was
/// published last.
/// </summary>
/// <param name="folder">Where the public key is laid; null when several nodes may use the store.</param>
public sealed partial class AuditOpening(
    SqlLedgerArchive archive, ILedgerReader ledger, AuditKey key, HeadSeal seal, LedgerFollower follower, AnchorOptions anchor, TimeProvider clock,
    ILogger<AuditOpening> log, DataFolder? folder = null)
{
    private const string Setting = "MIRA_AUDIT_KEY";

    /// <summary>Needs the store, and a follower that has seen where it stands.</summary>
    /// <exception cref="SettingException">The key does not work, or the ledger is signed by another one that it does not name.</exception>
    /// <exception cref="StoreUnavailableException">The ledger cannot be read.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        // The first change, too, does not wait for the library that signs while it holds the ledger's lock.
        if (!key.Public.Verifies(key.Sign(LedgerPosition.Start, clock.GetUtcNow())))
            throw new SettingException(Setting, "does not sign what its public part verifies");

        // In this order: what another node publishes meanwhile is not behind the head.
        var published = anchor.File is { } file ? await ReadAsync(file, cancellationToken) : null;
        var head = await archive.ReadHeadAsync(cancellationToken);
        DemandOwner(head);
        var isSigned = head.Statement is { } statement && key.Public.Verifies(statement);
        if (isSigned || (folder is not null && AuditKeys.FindInFolder(folder).Published.Contains(key.Public)))
        {
            seal.TakeOver();
            if (key.Earlier.Count > 0)
                LogEarlier(string.Join(", ", key.Earlier.Select(earlier => earlier.Id)));
        }

        if (isSigned || head.Position == LedgerPosition.Start)
            Publish();
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

    // A file in the folder is no reason to believe a key: who can write the ledger can put one there. He who has the settings says whom to believe.
    private void DemandOwner(SignedHead head)
    {
        if (folder is null || head.Statement is not { } statement || key.FindPublic(head.SignedBy) is not null)
            return;
        if (AuditKeys.FindInFolder(folder).All.FirstOrDefault(known => known.Text == head.SignedBy) is { } owner && owner.Verifies(statement))
            throw new SettingException(Setting, $"does not name the key {owner.Id}, which signs this ledger so far: put its public part (audit-public.pem in the data folder) behind the private one, in the same PEM");
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
        var finding = published.Seq > head.Position.Seq ? LedgerFollower.IsBehind
            : await StoredChain.HoldsAsync(ledger, archive, published, cancellationToken) ? null
            : LedgerFollower.IsOther;
        if (finding is null)
            return;

        follower.ReportReplaced(finding);
        LogReplaced(head.Position.Seq, published, finding);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The audit trail is signed with the key {Id}, whose public part is {PublicKey}")]
    private partial void LogKey(string id, string publicKey);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The audit key has taken over from {Ids}: take the public parts of earlier keys out of the settings, where they serve only who has stolen one")]
    private partial void LogEarlier(string ids);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The last checkpoints in the anchor were not signed by a key that is known, so the ledger is not held against them")]
    private partial void LogStrange();

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger stands at {Seq} and is not the one that was published: {Published} ({Finding})")]
    private partial void LogReplaced(long seq, Checkpoint published, string finding);
}
