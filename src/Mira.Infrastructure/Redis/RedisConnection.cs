using System.Net;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using StackExchange.Redis;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// The way to one Redis, be it one server, a cluster or a primary that sentinels name. A judge for each server finds
/// out whether it is gone; from then on a command costs nothing, and <see cref="RedisWatch"/> tries the server beside
/// the calls until it is back, so that no call ever waits to find out.
/// </summary>
/// <remarks>A command that was given up may still be carried out later.</remarks>
/// <param name="database">Which of its databases a caller gets who names none.</param>
public sealed partial class RedisConnection(RedisEndpoint endpoint, int database, TimeProvider clock, ILogger<RedisConnection> log) : IAsyncDisposable
{
    /// <summary>As many that each server of a cluster has one of them, so that each is tried.</summary>
    private const int ProbeKeysOfCluster = 32;

    private static readonly TimeSpan ProbeLife = TimeSpan.FromSeconds(10);

    private ConnectionMultiplexer? _multiplexer;
    private volatile RedisJudge[] _judges = [];
    private volatile TaskCompletionSource _gone = NewGone();
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
    public bool IsAvailable => _reach != Reach.Nothing && !IsGone;

    /// <summary>Does it answer, and take writes? A full one and a replica do not.</summary>
    public bool IsWritable => _reach == Reach.Writes && !IsGone;

    /// <summary>Is it a Redis Cluster, where a command may name keys of one slot only?</summary>
    public bool IsCluster { get; private set; }

    /// <summary>How often a command found the server away or its writes refused, since the start.</summary>
    public int Trips => Volatile.Read(ref _trips);

    /// <exception cref="InvalidOperationException">There was no connection yet.</exception>
    public IConnectionMultiplexer Multiplexer => _multiplexer ?? throw new InvalidOperationException("There is no connection yet.");

    /// <summary>Runs a command that changes nothing.</summary>
    /// <returns>Nothing when there was no answer in time.</returns>
    public ValueTask<Reply<T>> ReadAsync<T>(Func<IConnectionMultiplexer, Task<T>> command) =>
        IsAvailable ? RunAsync(command, Reach.Nothing, waitsForNode: false) : default;

    /// <summary>Runs a command that writes.</summary>
    /// <param name="waitsForNode">True to wait for the answer as long as it is this node that is slow.</param>
    /// <returns>Nothing when there was no answer in time, or the server refused the write. It may have been done all
    /// the same.</returns>
    /// <exception cref="OverloadedException">The node was told to wait for itself, and was too slow even
    /// so.</exception>
    public ValueTask<Reply<T>> WriteAsync<T>(Func<IConnectionMultiplexer, Task<T>> command, bool waitsForNode = false) =>
        IsWritable ? RunAsync(command, Reach.Reads, waitsForNode) : default;

    /// <summary>
    /// Connects if that was not done yet, tries the servers, and says what they can do from now on. For one caller at a
    /// time.
    /// </summary>
    public async Task ProbeAsync()
    {
        string? cause = null;
        var reach = Reach.Nothing;
        try
        {
            _multiplexer ??= await ConnectionMultiplexer.ConnectAsync(endpoint.ToConfiguration(database));
            IsCluster = _multiplexer.GetServers().Any(server => server.ServerType == ServerType.Cluster);
            if (IsCluster && database != 0)
                throw new RedisException("a Redis Cluster has no database but 0");

            await FindServersAsync(_multiplexer);
            reach = await TryWriteAsync(_multiplexer) is { } refusal ? Refused(refusal, out cause) : Reach.Writes;
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            // An answer that waited in this node says nothing about the server.
            if (exception is TimeoutException and not RedisTimeoutException && IsKnownAlive)
                return;

            cause = exception.GetBaseException().Message;
        }

        if (IsGone)
            (reach, cause) = (Reach.Nothing, cause ?? "it does not answer");
        if (reach != Reach.Nothing && _gone.Task.IsCompleted)
            _gone = NewGone();
        _reach = reach;
        Report(reach, cause);
    }

    public async ValueTask DisposeAsync()
    {
        _reach = Reach.Nothing;
        foreach (var judge in _judges)
            judge.Dispose();
        if (_multiplexer is not null)
            await _multiplexer.DisposeAsync();
    }

    private bool IsGone
    {
        get
        {
            foreach (var judge in _judges)
            {
                if (judge.IsGone)
                    return true;
            }

            return false;
        }
    }

    private async ValueTask<Reply<T>> RunAsync<T>(Func<IConnectionMultiplexer, Task<T>> command, Reach afterRefusal, bool waitsForNode)
    {
        var gone = _gone.Task;
        foreach (var judge in _judges)
            judge.NoteCommand();
        try
        {
            var answer = command(Multiplexer);
            while (!answer.IsCompleted)
            {
                try
                {
                    await Task.WhenAny(answer, gone).WaitAsync(endpoint.Patience, clock);
                }
                catch (TimeoutException) when (IsKnownAlive)
                {
                    // The judge hears the server, so it is this node that is slow.
                    if (!waitsForNode)
                        return default;
                }

                if (!answer.IsCompleted && gone.IsCompleted)
                    throw new TimeoutException();
            }

            return new Reply<T>(true, await answer);
        }
        catch (RedisServerException exception)
        {
            if (!IsAboutTheCommand(exception))
                Trip(afterRefusal);
        }
        catch (RedisTimeoutException) when (waitsForNode && IsKnownAlive)
        {
            throw new OverloadedException("This node is too slow to hear what Redis answers.");
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            Trip(Reach.Nothing);
        }

        return default;
    }

    // In a cluster each primary counts some of the keys; else there is the one server that takes writes.
    private async Task FindServersAsync(ConnectionMultiplexer multiplexer)
    {
        EndPoint[] servers;
        if (IsCluster)
        {
            servers = [.. multiplexer.GetServers().Where(server => server is { IsConnected: true, IsReplica: false }).Select(server => server.EndPoint)];
        }
        else
        {
            var server = await multiplexer.GetDatabase().IdentifyEndpointAsync(ProbeKeyOf(0)).WaitAsync(endpoint.Patience, clock);
            servers = server is null ? [] : [server];
        }

        var judges = _judges;
        if (judges.Length == servers.Length && judges.All(judge => servers.Contains(judge.Server)))
            return;

        _judges = [.. servers.Select(server => judges.FirstOrDefault(judge => judge.Server.Equals(server)) ?? new RedisJudge(server, endpoint, clock, OnGone))];
        foreach (var judge in judges.Except(_judges))
            judge.Dispose();
    }

    private void OnGone()
    {
        // Whoever waits is let go on, and not on the judge's thread.
        _gone.TrySetResult();
        _reach = Reach.Nothing;
    }

    private bool IsKnownAlive
    {
        get
        {
            var judges = _judges;
            return judges.Length > 0 && Array.TrueForAll(judges, judge => judge.IsAlive);
        }
    }

    private static TaskCompletionSource NewGone() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static RedisKey ProbeKeyOf(int number) => $"mira:probe:{number}";

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
            var redis = multiplexer.GetDatabase();
            var keys = Enumerable.Range(0, IsCluster ? ProbeKeysOfCluster : 1);
            await Task.WhenAll(keys.Select(number => redis.StringSetAsync(ProbeKeyOf(number), "", ProbeLife))).WaitAsync(endpoint.Patience, clock);
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
            case Reach.Nothing:
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
