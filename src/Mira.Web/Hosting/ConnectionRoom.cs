using System.Globalization;
using Microsoft.AspNetCore.Connections;
using Mira.Application.Metrics;

namespace Mira.Web.Hosting;

/// <summary>
/// Keeps the connections of callers below the number of files that the process may open. Without room the server could accept nobody and would try
/// without end, and neither store nor log could open what they need. When it is full, the connection that has been open longest without a valid key
/// makes room for the next one.
/// </summary>
public sealed class ConnectionRoom(ConnectionRoomOptions options) : IMeasured
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Guest> _strangers = new();
    private int _open;
    private long _closed;

    /// <summary>Connections closed to make room, since the start.</summary>
    public long Closed => Interlocked.Read(ref _closed);

    public void ShowOn(Instruments instruments) =>
        instruments.Counter("connections_closed_for_room", "Connections closed because the process could not open many more files", () => Closed);

    /// <summary>Serves a connection, unless there is no room for it.</summary>
    public async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var guest = new Guest(this, connection);
        Enter(guest)?.Close();
        try
        {
            connection.Features.Set(guest);
            await next(connection);
        }
        finally
        {
            Leave(guest);
        }
    }

    /// <returns>Who has to go for it: itself when all others have shown a valid key; null when there is room.</returns>
    private Guest? Enter(Guest guest)
    {
        lock (_lock)
        {
            guest.Place = _strangers.AddLast(guest);
            if (++_open <= options.Most)
                return null;

            Interlocked.Increment(ref _closed);
            var oldest = _strangers.First!.Value;
            Forget(oldest);
            return oldest;
        }
    }

    private void Leave(Guest guest)
    {
        lock (_lock)
        {
            _open--;
            Forget(guest);
        }
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

/// <summary>How many connections of callers may be open at once.</summary>
public sealed record ConnectionRoomOptions(int Most)
{
    /// <summary>Files that are left for the store, its log, Redis and the runtime.</summary>
    private const int Reserve = 160;

    private const string LimitsFile = "/proc/self/limits";
    private const string Row = "Max open files";

    /// <summary>What is left of the files this process may open; the number of connections is not limited where that is not known.</summary>
    public static ConnectionRoomOptions OfProcess()
    {
        if (!File.Exists(LimitsFile))
            return new ConnectionRoomOptions(int.MaxValue);

        var row = File.ReadLines(LimitsFile).First(line => line.StartsWith(Row, StringComparison.Ordinal));
        var soft = row[Row.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
        return new ConnectionRoomOptions(int.TryParse(soft, CultureInfo.InvariantCulture, out var files) ? Math.Max(files - Reserve, files / 4) : int.MaxValue);
    }
}
