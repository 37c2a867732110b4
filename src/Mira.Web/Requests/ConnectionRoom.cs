using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Mira.Application.Metrics;

namespace Mira.Web.Requests;

/// <summary>
/// Keeps the connections of callers below the number of files that the process may open. Without room the server could
/// accept nobody and would try without end, and neither store nor log could open what they need. When it is full, the
/// connection that has been open longest without a valid key makes room for the next one.
/// </summary>
public sealed class ConnectionRoom(ConnectionRoomOptions options) : IMetricSource, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly LinkedList<Guest> _strangers = new();
    private readonly SemaphoreSlim _places = new(options.Most, options.Most);
    private long _closed;

    /// <summary>Connections closed to make room, since the start.</summary>
    public long Closed => Interlocked.Read(ref _closed);

    public void Register(Instruments instruments) =>
        instruments.Counter("connections_closed_for_room", "Connections closed because the process could not open many more files", () => Closed);

    /// <summary>
    /// Waits for a place for the next connection, and has a stranger closed for it when all are taken.
    /// </summary>
    public async ValueTask TakePlaceAsync(CancellationToken cancellationToken)
    {
        while (!await _places.WaitAsync(TimeSpan.Zero, cancellationToken))
        {
            CloseOldest();
            // Longer only when the one that was closed takes long to go, or all others have shown a valid key.
            if (await _places.WaitAsync(Patience, cancellationToken))
                return;
        }
    }

    public void GiveBackPlace() => _places.Release();

    /// <summary>Serves a connection, which has a place.</summary>
    public async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var guest = new Guest(this, connection);
        lock (_lock)
            guest.Place = _strangers.AddLast(guest);
        try
        {
            connection.Features.Set(guest);
            await next(connection);
        }
        finally
        {
            lock (_lock)
                Forget(guest);
            GiveBackPlace();
        }
    }

    public void Dispose() => _places.Dispose();

    private void CloseOldest()
    {
        Guest? oldest;
        lock (_lock)
        {
            oldest = _strangers.First?.Value;
            if (oldest is null)
                return;

            Forget(oldest);
        }

        Interlocked.Increment(ref _closed);
        oldest.Close();
    }

    private void Forget(Guest guest)
    {
        if (guest.Place is not { } place)
            return;

        _strangers.Remove(place);
        guest.Place = null;
    }

    /// <summary>A connection, from its own requests' point of view.</summary>
    public sealed class Guest(ConnectionRoom room, ConnectionContext connection)
    {
        private volatile bool _isKnown;

        internal LinkedListNode<Guest>? Place { get; set; }

        /// <summary>Says that a valid key came over it, so that it stays.</summary>
        public void Welcome()
        {
            if (_isKnown)
                return;

            _isKnown = true;
            lock (room._lock)
                room.Forget(this);
        }

        internal void Close() => connection.Abort(new ConnectionAbortedException("There is no room for it."));
    }
}

/// <summary>Listens as the platform does, and takes a connection only when there is room for it.</summary>
public sealed class RoomyListenerFactory(ConnectionRoom room, SocketTransportFactory sockets) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    public bool CanBind(EndPoint endpoint) => sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(room, await sockets.BindAsync(endpoint, cancellationToken));

    private sealed class Listener(ConnectionRoom room, IConnectionListener inner) : IConnectionListener
    {
        private readonly CancellationTokenSource _end = new();

        public EndPoint EndPoint => inner.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_end.Token, cancellationToken);
            try
            {
                await room.TakePlaceAsync(either.Token);
            }
            catch (OperationCanceledException) when (_end.IsCancellationRequested)
            {
                return null;
            }

            var accepted = await inner.AcceptAsync(cancellationToken);
            if (accepted is null)
                room.GiveBackPlace();
            return accepted;
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await _end.CancelAsync();
            await inner.UnbindAsync(cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await inner.DisposeAsync();
            _end.Dispose();
        }
    }
}

/// <summary>How many connections of callers may be open at once.</summary>
public sealed record ConnectionRoomOptions(int Most)
{
    /// <summary>
    /// Files that are left for the runtime, which holds some 320 by itself, and for the store, its log and Redis.
    /// </summary>
    private const int Reserve = 512;

    private const string LimitsFile = "/proc/self/limits";
    private const string Row = "Max open files";

    /// <summary>
    /// What is left of the files this process may open; the number of connections is not limited where that is not
    /// known.
    /// </summary>
    public static ConnectionRoomOptions OfProcess()
    {
        if (!File.Exists(LimitsFile))
            return new ConnectionRoomOptions(int.MaxValue);

        var row = File.ReadLines(LimitsFile).First(line => line.StartsWith(Row, StringComparison.Ordinal));
        var soft = row[Row.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
        return new ConnectionRoomOptions(int.TryParse(soft, CultureInfo.InvariantCulture, out var files) ? Math.Max(files - Reserve, files / 8) : int.MaxValue);
    }
}
