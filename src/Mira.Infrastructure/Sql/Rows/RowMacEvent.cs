using Microsoft.EntityFrameworkCore;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// How the ledger says that all rows of keys are signed: from then on one without a MAC is forged. It stands in the
/// ledger and nowhere else, because only there nobody can take it back without breaking the chain. Every start and
/// every pruning says it again, so that it is never pruned.
/// </summary>
internal static class RowMacEvent
{
    /// <summary>Why a <see cref="EventType.SystemStarted"/> is recorded that is no start.</summary>
    public const string Reason = "key_rows_sealed";

    /// <summary>How it stands in the canonical form of an event.</summary>
    private const string Mark = "\"key_rows\":{\"from\":null,\"to\":\"sealed\"}";

    public static FieldChange Change => FieldChange.Of("key_rows", null, "sealed");

    public static Task<bool> IsThereAsync(MiraDbContext database, CancellationToken cancellationToken) => database.Events
        .Where(entry => (entry.Type == EventType.SystemStarted || entry.Type == EventType.AuditPruned) && entry.Body.Contains(Mark))
        .OrderByDescending(entry => entry.Seq).AnyAsync(cancellationToken);
}
