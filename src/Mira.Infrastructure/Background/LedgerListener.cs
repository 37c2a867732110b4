using System.Data.Common;
using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Infrastructure.Sql;
using Npgsql;

namespace Mira.Infrastructure.Background;

/// <summary>
/// Wakes the ledger poller when another node has committed, over a connection of its own that comes back by itself.
/// What it misses meanwhile <see cref="LedgerPollLoop"/> finds within a second. Behind a pooler in transaction mode
/// there is nothing to listen on.
/// </summary>
public sealed partial class LedgerListener(
    PostgresOptions options, LedgerPoller poller, TimeProvider clock, ILogger<LedgerListener> log, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private bool _isLost;

    // Without a session of its own nothing would be heard, and each change would be announced to a connection that
    // others use.
    protected override IEnumerable<Loop> Loops() => options.KeepsSessions ? [new("listen", Interval, TryListenAsync) { StartsAtOnce = true }] : [];

    private async Task TryListenAsync(LoopRecord record, CancellationToken cancellationToken)
    {
        try
        {
            await ListenAsync(record, cancellationToken);
        }
        catch (Exception exception) when (exception is DbException or IOException or SocketException or TimeoutException)
        {
            if (!_isLost)
                LogLost(exception.Message);
            _isLost = true;
        }
    }

    private async Task ListenAsync(LoopRecord record, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(options.Listening);
        await connection.OpenAsync(cancellationToken);
        connection.Notification += (_, note) => Wake(note.Payload);
        await using (var command = new NpgsqlCommand($"LISTEN {PostgresStore.Channel}", connection))
            await command.ExecuteNonQueryAsync(cancellationToken);
        if (_isLost)
            LogListening();
        _isLost = false;
        record.NoteSuccess();

        // What was committed before this began to listen.
        Wake(null);
        while (true)
            await connection.WaitAsync(cancellationToken);
    }

    // This node's own commits come back as well, and are known already.
    private void Wake(string? seq)
    {
        if (!long.TryParse(seq, NumberStyles.None, CultureInfo.InvariantCulture, out var committed) || committed > poller.Seen.Seq)
            _ = CatchUpAsync();
    }

    private async Task CatchUpAsync()
    {
        try
        {
            await poller.CatchUpAsync();
        }
        catch (StoreUnavailableException)
        {
            // The poll meets the same, and says so.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Other nodes' changes are found by polling only: {Cause}")]
    private partial void LogLost(string cause);

    [LoggerMessage(Level = LogLevel.Information, Message = "Other nodes' changes are announced again")]
    private partial void LogListening();
}
