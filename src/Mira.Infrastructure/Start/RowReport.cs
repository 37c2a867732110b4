using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Verification;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>What a look at all records of keys found.</summary>
/// <param name="Text">One line of it; null when all of them are as Mira wrote them.</param>
/// <param name="IsRight">False when a record is not what Mira wrote.</param>
public sealed record RowReport(string? Text, bool IsRight)
{
    private const int PageSize = 200;
    private const int Stretch = 20_000;

    internal static Task<RowReport> MakeAsync(IDbContextFactory<MiraDbContext> contexts, RowAuthenticator seal, CancellationToken cancellationToken) =>
        contexts.ReadAsync("The keys cannot be read.", database => LookAsync(database, seal, cancellationToken), cancellationToken);

    private static async Task<RowReport> LookAsync(MiraDbContext database, RowAuthenticator seal, CancellationToken cancellationToken)
    {
        if ((await database.Database.GetPendingMigrationsAsync(cancellationToken)).Any())
            return new RowReport("the records of keys are not checked: the store is of an older version, which did not sign them", IsRight: true);

        seal.IsStrict = await RowMacEvent.IsThereAsync(database, cancellationToken);
        var (count, unsigned) = (0L, 0L);
        var page = await RowScan.PageAsync(database, long.MinValue, PageSize, cancellationToken);
        for (; page.Count > 0; page = await RowScan.PageAsync(database, page[^1].CreatedSeq, PageSize, cancellationToken))
        {
            foreach (var row in page)
            {
                var state = seal.Judge(row);
                if (state is RowState.Forged or RowState.Replayed)
                    return Wrong(row.Key.Id, RowAuthenticator.ReasonOf(state), state == RowState.Forged ? "is not one that Mira wrote" : "is an older one than the ledger tells of");
                unsigned += state == RowState.Unsealed ? 1 : 0;
            }

            count += page.Count;
        }

        var end = await database.Heads.Select(head => head.Seq).SingleAsync(cancellationToken);
        for (var after = 0L; after < end; after += Stretch)
        {
            if (await RowVerification.FindLostAsync(database, after, Math.Min(after + Stretch, end), cancellationToken) is [var lost, ..])
                return Wrong(lost, RowViolations.Deleted, "is missing, though the ledger tells of the key");
        }

        return new RowReport(
            unsigned == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"of {count} records of keys, {unsigned} are from an older version and not signed yet"), IsRight: true);
    }

    private static RowReport Wrong(KeyId id, string finding, string problem) => new($"the record of {id} {problem} ({finding})", IsRight: false);
}
