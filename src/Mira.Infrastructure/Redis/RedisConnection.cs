using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// The way to one Redis: each command waits at most <see cref="RedisEndpoint.Patience"/>, and the first one that got no answer opens the
/// breaker for all. While it is open a command costs nothing; <see cref="RedisWatch"/> tries the server beside the calls and closes it again,
/// so that no call ever waits to find out.
/// </summary>
/// <remarks>A command that was given up may still be carried out later.</remarks>
/// <param name="database">Which of its databases a caller gets who names none.</param>
public sealed partial class RedisConnection(RedisEndpoint endpoint, int database, TimeProvider clock, ILogger<RedisConnection> log) : IAsyncDisposable
{
    private static readonly RedisKey ProbeKey = "mira:probe";
    private static readonly TimeSpan ProbeLife = TimeSpan.FromSeconds(10);

    private ConnectionMultiplexer? _multiplexer;
    private volatile Reach _reach = Reach.Nothing;
    private Reach _reported = Reach.Writes;
    private int _trips;

    private enum Reach
    {
        Nothing,
        Reads,
        Writes,
    }

    /// <summary>Does it answer?</summary>
    public bool IsAvailable => _reach != Reach.Nothing;

    /// <summary>Does it answer, and take writes? A full one and a replica do not.</summary>
    public bool IsWritable => _reach == Reach.Writes;

    /// <summary>How often a command found the server away or its writes refused, since the start.</summary>
    public int Trips => Volatile.Read(ref _trips);

    /// <exception cref="InvalidOperationException">There was no connection yet.</exception>
    public IConnectionMultiplexer Multiplexer => _multiplexer ?? throw new InvalidOperationException("There is no connection yet.");

    /// <summary>Runs a command that changes nothing.</summary>
    /// <returns>Nothing when there was no answer in time.</returns>
    public ValueTask<Reply<T>> ReadAsync<T>(Func<IConnectionMultiplexer, Task<T>> command) =>
        IsAvailable ? RunAsync(command, Reach.Nothing) : default;

    /// <summary>Runs a command that writes.</summary>
    /// <returns>Nothing when there was no answer in time, or the server refused the write. It may have been done all the same.</returns>
    public ValueTask<Reply<T>> WriteAsync<T>(Func<IConnectionMultiplexer, Task<T>> command) =>
        IsWritable ? RunAsync(command, Reach.Reads) : default;

    /// <summary>Connects if that was not done yet, tries the server, and opens or closes the breaker by what it says. For one caller at a time.</summary>
    public async Task ProbeAsync()
    {
        string? cause = null;
        try
        {
            _multiplexer ??= await ConnectionMultiplexer.ConnectAsync(endpoint.ToConfiguration(database));
            await _multiplexer.GetDatabase().KeyExistsAsync(ProbeKey).WaitAsync(endpoint.Patience, clock);
            _reach = await TryWriteAsync(_multiplexer) is { } refusal ? Refused(refusal, out cause) : Reach.Writes;
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            _reach = Reach.Nothing;
            cause = exception.GetBaseException().Message;
        }

        Report(_reach, cause);
    }

    public async ValueTask DisposeAsync()
    {
        _reach = Reach.Nothing;
        if (_multiplexer is not null)
            await _multiplexer.DisposeAsync();
    }

    private async ValueTask<Reply<T>> RunAsync<T>(Func<IConnectionMultiplexer, Task<T>> command, Reach afterRefusal)
    {
        try
        {
            return new Reply<T>(true, await command(Multiplexer).WaitAsync(endpoint.Patience, clock));
        }
        catch (RedisServerException exception)
        {
            if (!IsAboutTheCommand(exception))
                Trip(afterRefusal);
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            Trip(Reach.Nothing);
        }

        return default;
    }

    private void Trip(Reach reach)
    {
        Interlocked.Increment(ref _trips);
        if (_reach > reach)
            _reach = reach;
    }

    /// <returns>Why it takes no writes; null when it does.</returns>
    private async Task<Exception?> TryWriteAsync(ConnectionMultiplexer multiplexer)
    {
        try
        {
            // A replica that has become the primary is known as such only after it was asked.
            if (_reported == Reach.Reads)
                await multiplexer.ConfigureAsync().WaitAsync(endpoint.Patience, clock);
            await multiplexer.GetDatabase().StringSetAsync(ProbeKey, "", ProbeLife).WaitAsync(endpoint.Patience, clock);
            return null;
        }
        catch (RedisException exception)
        {
            return exception;
        }
    }

    private static Reach Refused(Exception refusal, out string cause)
    {
        cause = refusal.GetBaseException().Message;
        return Reach.Reads;
    }

    private void Report(Reach reach, string? cause)
    {
        if (reach == _reported)
            return;

        _reported = reach;
        switch (reach)
        {
            case Reach.Writes:
                LogBack(endpoint);
                break;
            case Reach.Reads:
                LogRefused(endpoint, cause);
                break;
            default:
                LogAway(endpoint, cause);
                break;
        }
    }

    // One damaged key must not keep everyone from all others.
    private static bool IsAboutTheCommand(RedisServerException exception) =>
        exception.Message.StartsWith("ERR ", StringComparison.Ordinal) || exception.Message.StartsWith("WRONGTYPE ", StringComparison.Ordinal);

    private static bool IsFailure(Exception exception) =>
        exception is RedisException or TimeoutException or RedisCommandException or ObjectDisposedException;

    [LoggerMessage(Level = LogLevel.Warning, Message = "Redis at {Endpoint} is away, this node goes on without it: {Cause}")]
    private partial void LogAway(RedisEndpoint endpoint, string? cause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Redis at {Endpoint} takes no writes, this node goes on without them: {Cause}")]
    private partial void LogRefused(RedisEndpoint endpoint, string? cause);

    [LoggerMessage(Level = LogLevel.Information, Message = "Redis at {Endpoint} is back")]
    private partial void LogBack(RedisEndpoint endpoint);
}

/// <summary>What a command brought, if it brought anything.</summary>
public readonly record struct Reply<T>(bool Came, T Value);
