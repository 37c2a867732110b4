using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// Judges whether one Redis server is gone, apart from all other work: on a thread and a connection of its own. It
/// looks fifty times a second while commands are sent, and five times when none are.
/// </summary>
internal sealed class RedisJudge : IDisposable
{
    private static readonly TimeSpan BusyPace = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan QuietPace = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan BusyAfterCommand = TimeSpan.FromSeconds(5);

    private readonly RedisEndpoint _identity;
    private readonly TimeProvider _clock;
    private readonly Action _onGone;
    private readonly AutoResetEvent _wake = new(initialState: false);

    private long _lastCommand;
    private volatile bool _isWatching;
    private volatile bool _isQuiet;
    private volatile bool _isGone;
    private volatile bool _isEnded;

    /// <param name="identity">Who we are at the server.</param>
    /// <param name="onGone">Called on the judge's thread when the server is found gone.</param>
    public RedisJudge(EndPoint server, RedisEndpoint identity, TimeProvider clock, Action onGone)
    {
        (Server, _identity, _clock, _onGone) = (server, identity, clock, onGone);
        _lastCommand = clock.GetTimestamp();
        new Thread(Run) { IsBackground = true, Name = "Redis judge", Priority = ThreadPriority.AboveNormal }.Start();
    }

    public EndPoint Server { get; }

    public bool IsGone => _isGone;

    /// <summary>
    /// Does it hear answers? A command without one then waits in this process, or for a connection that broke unseen.
    /// </summary>
    public bool IsAlive => _isWatching && !_isGone;

    /// <summary>A command is sent: from now on the judge looks often.</summary>
    public void NoteCommand()
    {
        Volatile.Write(ref _lastCommand, _clock.GetTimestamp());
        if (_isQuiet)
            _wake.Set();
    }

    public void Dispose()
    {
        _isEnded = true;
        _wake.Set();
    }

    private void Run()
    {
        while (!_isEnded)
        {
            try
            {
                using var socket = PulseSocket.Connect(Server, _identity, RedisPulse.LongestAnswer);
                _isWatching = true;
                Watch(socket);
            }
            catch (SocketException exception)
            {
                // A machine that refuses, or does not answer at all, has no Redis. Anything else is no verdict on the
                // server.
                if (exception.SocketErrorCode is SocketError.ConnectionRefused or SocketError.TimedOut or SocketError.HostUnreachable or SocketError.NetworkUnreachable)
                    Find(isGone: true);
            }
            catch (Exception exception) when (exception is IOException or AuthenticationException)
            {
                // The connection ended. The next attempt shows whether the server did too.
            }
            catch (Exception)
            {
                // Nothing that happens here may end the process. Without a judge the commands' own failures are what
                // there is to go by.
                Find(isGone: false);
            }

            _isWatching = false;
            _wake.WaitOne(BusyPace);
        }
    }

    private void Watch(PulseSocket socket)
    {
        var pulse = new RedisPulse();
        while (!_isEnded)
        {
            var pace = _clock.GetElapsedTime(Volatile.Read(ref _lastCommand)) < BusyAfterCommand ? BusyPace : QuietPace;
            if (pulse.MayAsk)
            {
                socket.Ask();
                pulse.Ask();
            }

            var began = _clock.GetTimestamp();
            _isQuiet = pace == QuietPace;
            _wake.WaitOne(pace);
            var isPunctual = pulse.Pass(pace, _clock.GetElapsedTime(began));
            for (var answers = socket.CountAnswers(); answers > 0; answers--)
                pulse.Answer();
            if (isPunctual || !pulse.IsSilent)
                Find(pulse.IsSilent);
        }
    }

    private void Find(bool isGone)
    {
        if (_isGone == isGone)
            return;

        _isGone = isGone;
        if (isGone)
            _onGone();
    }
}
