using Mira.Application.Ledger;
using Mira.Application.Verification;
using StackExchange.Redis;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// Keeps in Redis how far the ledger was seen, beside the entries that were read from it. When the database is restored while no node runs, nobody is
/// left who saw more of the ledger; an entry of the future that was lost would be trusted as soon as the ledger has grown past its seq. So no entry is
/// taken before this node has compared, and none is given that reaches further than the witness.
/// </summary>
public sealed class LedgerWitness(RedisConnection connection, SealedEntry seal, ILedgerReader ledger, Lazy<LedgerFollower> follower)
{
    /// <summary>Writes only over what was compared: of two nodes, the one that saw less cannot set it back.</summary>
    private const string Script =
        """
        if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[2])
        return 1
        """;

    private volatile bool _isCompared;
    private string? _ledger;
    private byte[]? _refuted;

    /// <summary>May entries be taken from there?</summary>
    public bool IsCompared => _isCompared;

    /// <summary>Compares for the first time, if it can now; to be tried until <see cref="IsCompared"/>.</summary>
    public Task CompareAsync() => ReachAsync(follower.Value.Seen.Seq);

    /// <summary>Sees to it that the witness in Redis is of this ledger and reaches this seq.</summary>
    /// <returns>False when it cannot be had now.</returns>
    public async Task<bool> ReachAsync(long seq)
    {
        try
        {
            return await NameAsync() is { } name && await follower.Value.ReachesAsync(seq) && await ReachAsync(name, seq);
        }
        catch (StoreUnavailableException)
        {
            return false;
        }
    }

    private async Task<bool> ReachAsync(string name, long seq)
    {
        var reply = await connection.ReadAsync(redis => redis.GetDatabase().StringGetAsync(name));
        if (!reply.Came)
            return false;

        var found = (byte[]?)reply.Value ?? [];
        if (_refuted is null || !_refuted.SequenceEqual(found))
        {
            var witnessed = seal.OpenPosition(name, found);
            if (witnessed is { } position && !await follower.Value.HoldsAsync(position))
            {
                _refuted = found;
                return false;
            }

            _isCompared = true;
            if (witnessed?.Seq >= seq)
                return true;
        }

        // What is refuted stays until the ledger itself tells of it, for a node that starts before that.
        if (follower.Value.Violation is not null)
            return false;

        RedisKey[] keys = [name];
        RedisValue[] values = [found, seal.SealPosition(name, follower.Value.Seen)];
        var written = await connection.WriteAsync(redis => redis.GetDatabase().ScriptEvaluateAsync(Script, keys, values));
        if (!written.Came || (int)written.Value == 0)
            return false;

        _isCompared = true;
        return true;
    }

    // Of each ledger its own, told by its first event, which a backup has too: several may share one Redis.
    private async Task<string?> NameAsync() =>
        _ledger ??= await ledger.ReadFromAsync(1, 1, CancellationToken.None) is [var first] ? $"mira:ledger:{LedgerEpoch.NameOf(first.Hash)}" : null;
}
