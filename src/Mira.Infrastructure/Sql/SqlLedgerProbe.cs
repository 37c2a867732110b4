using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>Writes the ledger's head as it is, unless a change was written a moment ago.</summary>
public sealed class SqlLedgerProbe(IDbContextFactory<MiraDbContext> contexts, WriteGate gate) : ILedgerProbe
{
    private static readonly TimeSpan KnownFor = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    public async Task<bool> CanWriteAsync(CancellationToken cancellationToken)
    {
        if (gate.IsOpen && gate.SinceSuccess < KnownFor)
            return true;

        try
        {
            return await gate.RunAsync(() => TouchHeadAsync(cancellationToken), cancellationToken);
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException)
        {
            return false;
        }
    }

    private async Task<bool> TouchHeadAsync(CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        return await database.Database.ExecuteSqlAsync($"UPDATE ledger_head SET seq = seq", cancellationToken) == 1;
    }
}
