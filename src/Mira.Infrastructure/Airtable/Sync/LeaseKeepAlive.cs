using Mira.Application.Ledger;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Takes the right to call Airtable as soon as nobody else has it, and keeps it: for a command, which has no
/// <see cref="AirtableSyncLoops"/>. A process that ended a moment ago may have it for some seconds yet.
/// </summary>
public sealed class LeaseKeepAlive : IAsyncDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly WriterLease _lease;
    private readonly PeriodicTimer _timer;
    private readonly Task _keeping;

    public LeaseKeepAlive(WriterLease lease, TimeProvider clock)
    {
        (_lease, _timer) = (lease, new PeriodicTimer(Tick, clock));
        _keeping = KeepAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _keeping;
        await TryAsync(() => _lease.ReleaseAsync());
    }

    private async Task KeepAsync()
    {
        do
        {
            await TryAsync(() => _lease.HoldAsync(CancellationToken.None));
        }
        while (await _timer.WaitForNextTickAsync(CancellationToken.None));
    }

    // The next tick is another attempt, and what is not released ends by itself.
    private static async Task TryAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException)
        {
        }
    }
}
