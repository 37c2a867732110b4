using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>
/// Decides whether rows of keys without a MAC are believed: only in a store of a version that had none, only once, and
/// only when its ledger is whole. Else who can write the database could take the marks away and have his own rows
/// signed.
/// </summary>
public sealed partial class RowMacStartup(
    IDbContextFactory<MiraDbContext> contexts, RowAuthenticator seal, ILedgerReader ledger, ILedgerArchive archive, AuditKey key, LedgerPoller poller,
    RowOptions options, ILogger<RowMacStartup> log)
{
    /// <summary>Needs the store, and an audit trail that has been opened.</summary>
    /// <exception cref="StoreUnavailableException">The store cannot be read.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        seal.IsStrict = true;
        var isOlder = await contexts.ReadAsync(
            "The keys cannot be read.",
            async database => !await RowMacEvent.IsThereAsync(database, cancellationToken)
                && await database.Keys.AnyAsync(one => EF.Property<byte[]?>(one, KeyColumns.Mac) == null, cancellationToken),
            cancellationToken);
        if (!isOlder)
            return;

        if (options.TakesUnsigned || await IsWholeAsync(cancellationToken))
        {
            seal.IsStrict = false;
            LogTaking();
            return;
        }

        LogRefusing(RowOptions.TakeSetting);
    }

    private async Task<bool> IsWholeAsync(CancellationToken cancellationToken) =>
        poller is { IsBroken: false, Violation: null }
        && await LedgerVerification.CheckAsync(ledger, archive, () => new ChainProof([key.Public, .. key.Earlier]), cancellationToken) is null;

    [LoggerMessage(Level = LogLevel.Information, Message = "The records of keys are from a version that did not sign them; they are signed beside the calls")]
    private partial void LogTaking();

    [LoggerMessage(Level = LogLevel.Critical, Message = "Records of keys have no MAC, and the ledger is not whole, so their keys are refused. If this is the first start of this version and you know why the ledger is not whole, start once with {Setting}=true")]
    private partial void LogRefusing(string setting);
}
