using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Commits changes of keys that people govern in Airtable, which knows no transactions: decided under the ledger's lock
/// and written down as an intent, then written to Airtable, then committed with their events and the stored response. A
/// change with an unknown outcome is resolved by its intent (docs/decisions/0009).
/// </summary>
public sealed partial class AirtableLedger(
    SqlLedger ledger, IntentDispatcher courier, MirrorStore book, WriterLease lease, AirtableOptions options, AuditScope scope, TimeProvider clock, ILogger<AirtableLedger> log) : ILedger
{
    /// <summary>
    /// From the decision; longer than all that a change may take, so that nobody resolves what is still on its way.
    /// </summary>
    private static readonly TimeSpan IntentLife = TimeSpan.FromSeconds(45);

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    /// <inheritdoc/>
    public async Task<T> ChangeAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        var (intents, result) = await DecideAsync(change, cancellationToken);
        if (intents.Count == 0)
            return result;

        // From here on nobody who goes away takes it back.
        IReadOnlyDictionary<KeyId, WrittenRow> written;
        try
        {
            written = await courier.CarryAsync(intents);
        }
        catch (AirtableException exception)
        {
            await GiveUpAsync(intents, exception);
            throw new StoreUnavailableException("Airtable cannot be written now.", exception) { RetryAfter = exception.RetryAfter };
        }

        await CommitAsync(intents[0].Operation, written);
        return result;
    }

    private async Task<(IReadOnlyList<AirtableIntent> Intents, T Result)> DecideAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        var began = clock.GetTimestamp();
        using var pace = new PeriodicTimer(Pace, clock);
        while (true)
        {
            var refusal = await RefusalAsync(cancellationToken);
            try
            {
                return await ledger.TransactAsync(
                    async open =>
                    {
                        var deciding = new IntentChange(open);
                        var decided = await change(deciding);
                        var intents = deciding.Close(scope, lease.Node, IntentLife);
                        // What changes no key needs nobody who calls Airtable.
                        return intents.Count == 0 || refusal is null ? (intents, decided) : throw refusal;
                    },
                    cancellationToken);
            }
            catch (UnresolvedChangeException exception)
            {
                if (clock.GetElapsedTime(began) > options.SettlePatience)
                    throw new StoreUnavailableException(exception.Message, exception);
            }

            await pace.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <returns>Why no key can be changed now; null when one can.</returns>
    private async Task<Exception?> RefusalAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await lease.IsServedAsync(cancellationToken) ? null : new StoreUnavailableException("No node has the right to call Airtable now.");
        }
        catch (Exception exception) when (exception is StoreUnavailableException or LedgerUnavailableException)
        {
            // The ledger's own database is away, and not Airtable.
            return new LedgerUnavailableException("The ledger cannot be written.", exception.InnerException);
        }
    }

    /// <exception cref="StoreUnavailableException">Somebody took this node for gone and has resolved it
    /// already.</exception>
    /// <exception cref="LedgerUnavailableException">It is in Airtable, so whoever resolves the intent may yet complete
    /// it.</exception>
    private async Task CommitAsync(Guid operation, IReadOnlyDictionary<KeyId, WrittenRow> written)
    {
        try
        {
            await ledger.TransactAsync(
                async change =>
                {
                    var intents = await change.Database.AirtableIntents.Where(intent => intent.Operation == operation).ToListAsync();
                    if (intents.Count == 0 || intents.Any(intent => intent.State == IntentState.Unknown))
                        throw new StoreUnavailableException("The change took too long and was resolved by another node.");

                    await IntentSettlement.CompleteAsync(change, intents, written);
                    return true;
                },
                CancellationToken.None);
        }
        catch (Exception exception) when (exception is LedgerUnavailableException { IsUndecided: false } or OverloadedException)
        {
            throw new LedgerUnavailableException("The change is in Airtable and could not be committed.", exception) { IsUndecided = true };
        }
    }

    // When not even that can be written, the deadline does the same a little later.
    private async Task GiveUpAsync(IReadOnlyList<AirtableIntent> intents, AirtableException exception)
    {
        var operation = intents[0].Operation;
        LogFailed(exception.Message, exception.Fate);
        try
        {
            await book.WriteAsync(
                (database, _) => exception.Fate == DeliveryState.NotSent
                    ? database.AirtableIntents.Where(intent => intent.Operation == operation).ExecuteDeleteAsync(CancellationToken.None)
                    : database.AirtableIntents.Where(intent => intent.Operation == operation)
                        .ExecuteUpdateAsync(set => set.SetProperty(intent => intent.State, IntentState.Unknown), CancellationToken.None),
                CancellationToken.None);
        }
        catch (Exception failure) when (failure is LedgerUnavailableException or OverloadedException)
        {
            LogUnwritten(failure.InnerException?.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A change did not get through. {Problem} ({Fate})")]
    private partial void LogFailed(string problem, DeliveryState fate);

    [LoggerMessage(Level = LogLevel.Warning, Message = "How a change ended could not be noted; it is resolved when its time is over: {Cause}")]
    private partial void LogUnwritten(string? cause);
}
