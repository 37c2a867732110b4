using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Admins;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>What happens before the first call is served, and after the last one.</summary>
/// <param name="processLock">Held as long as this exists; null when several nodes may use the store.</param>
/// <param name="folder">Null when several nodes may use the store.</param>
/// <param name="airtable">Null unless keys have their source of truth there.</param>
public sealed partial class NodeStart(
    SqlStore store, PepperRing peppers, SettingReader settings, LedgerPoller poller, AuditKeyStartup audit, RowMacStartup rows, RowAuthenticator seal, IServiceScopeFactory scopes, FirstAdmin firstAdmin,
    TimeProvider clock, ILogger<NodeStart> log, ProcessLock? processLock = null, AirtableSyncLoops? airtable = null, DataFolder? folder = null) : IHostedLifecycleService
{
    internal static readonly string Version = typeof(NodeStart).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>What is found of a ledger that the command <c>restore</c> has put there.</summary>
    private const string IsRestored = "restored";

    private const int Attempts = 3;

    private readonly Lock _lock = new();
    private Task? _stop;
    private bool _isRecorded;
    private bool _isOpen;

    /// <summary>Opens the store and takes up the ledger where it ends; enough for the offline commands.</summary>
    /// <exception cref="SettingException">The store or its peppers are not usable.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(processLock?.IsReleased == true, processLock!);
        await store.OpenAsync(cancellationToken);
        await store.DemandPeppersAsync(peppers, clock.GetUtcNow(), cancellationToken);
        await poller.StartAsync(cancellationToken);
        await audit.OpenAsync(cancellationToken);
        await rows.OpenAsync(cancellationToken);
        _isOpen = true;
        // After a restore all is well with the ledger, but what was remembered of it elsewhere is not to be believed.
        var isRestored = folder is not null && File.Exists(folder.RestoreMark);
        if ((poller.Violation ?? (isRestored ? IsRestored : null)) is not { } finding)
            return;

        await using var scope = scopes.CreateAsyncScope();
        await LedgerEpoch.BeginAsync(scope.ServiceProvider.GetRequiredService<ILedger>(), finding, cancellationToken);
        poller.MarkRecorded(finding);
        if (isRestored)
            File.Delete(folder!.RestoreMark);
    }

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        try
        {
            await OpenAsync(cancellationToken);
            await BeginAsync(cancellationToken);
            Complete();
        }
        catch (LedgerUnavailableException exception) when (_isOpen && airtable is null)
        {
            await GoOnReadingAsync(exception, cancellationToken);
        }
        catch (Exception exception) when (exception is StoreUnavailableException or LedgerUnavailableException or OverloadedException)
        {
            throw new SettingException(store.Setting, "the store cannot be read or written now", exception);
        }
    }

    /// <summary>Records a start that could not be recorded when it happened; true once it is.</summary>
    internal async Task<bool> RecordLateAsync(CancellationToken cancellationToken)
    {
        if (_isRecorded)
            return true;

        await using var scope = scopes.CreateAsyncScope();
        try
        {
            await RecordAsync(scope.ServiceProvider.GetRequiredService<ILedger>(), EventType.SystemStarted, cancellationToken);
            Complete();
            return true;
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException or SettingException)
        {
            // The file of the public key may still find no room when the event did.
            return false;
        }
    }

    // Keys can be verified without a word being written. What has to be written is refused, and the start is recorded
    // as soon as it can be.
    private async Task GoOnReadingAsync(LedgerUnavailableException cause, CancellationToken cancellationToken)
    {
        try
        {
            if (!await store.HasKeysAsync(cancellationToken))
                throw new SettingException(store.Setting, "the store has no key, and cannot be written now to make the first one", cause);
        }
        catch (StoreUnavailableException exception)
        {
            throw new SettingException(store.Setting, "the store cannot be read or written now", exception);
        }

        LogReadOnly(cause.InnerException?.Message);
    }

    private void Complete()
    {
        _isRecorded = true;
        audit.Complete();
    }

    // Several nodes may begin at once, on a machine that is busy with that: one that waited too long for the others
    // asks again.
    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // With another source of truth it may take longer to know whether there are any.
                if (airtable is null || await airtable.BeginAsync(cancellationToken))
                    await firstAdmin.MakeAsync(cancellationToken);
                await using var scope = scopes.CreateAsyncScope();
                await RecordAsync(scope.ServiceProvider.GetRequiredService<ILedger>(), EventType.SystemStarted, cancellationToken);
                return;
            }
            catch (LedgerUnavailableException exception) when (attempt < Attempts)
            {
                LogBeginAgain(attempt, exception.InnerException?.Message);
            }
        }
    }

    // A host can be told to stop by two sides at once; it stops once, and both wait for that.
    public Task StoppedAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
            return _stop ??= _isRecorded ? RecordStopAsync() : Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task RecordStopAsync()
    {
        await using var scope = scopes.CreateAsyncScope();
        try
        {
            await RecordAsync(scope.ServiceProvider.GetRequiredService<ILedger>(), EventType.SystemStopped, CancellationToken.None);
        }
        catch (LedgerUnavailableException exception)
        {
            LogStopUnrecorded(exception.InnerException?.Message);
        }
    }

    private Task<bool> RecordAsync(ILedger ledger, string type, CancellationToken cancellationToken) => ledger.ChangeAsync(
        change =>
        {
            FieldChange[] told = [FieldChange.Of("version", null, Version), FieldChange.Of("configuration", null, settings.Fingerprint())];
            change.Record(new KeyEvent(type, null, type == EventType.SystemStarted && seal.IsStrict ? [.. told, RowMacEvent.Change] : told));
            return Task.FromResult(true);
        },
        cancellationToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The start could not be recorded at attempt {Attempt}: {Cause}")]
    private partial void LogBeginAgain(int attempt, string? cause);

    [LoggerMessage(Level = LogLevel.Error, Message = "The store can be read and not written: keys are verified, changes are refused, and this start is recorded when it can be: {Cause}")]
    private partial void LogReadOnly(string? cause);

    [LoggerMessage(Level = LogLevel.Error, Message = "The stop could not be recorded in the ledger: {Cause}")]
    private partial void LogStopUnrecorded(string? cause);
}
