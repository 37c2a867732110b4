using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Web.Endpoints;

/// <summary>How this node's cache does.</summary>
[ApiController]
[Route("api/keys/stats")]
[Tags("Operation")]
public sealed class StatsController(KeyCache directory, LedgerPoller poller) : ControllerBase
{
    /// <summary>Cache statistics of this node</summary>
    [HttpGet("cache", Name = "GetCacheStats")]
    [Authorize(Permission.StatsRead)]
    [ProducesResponseType<CacheStats>(StatusCodes.Status200OK)]
    public IActionResult Cache()
    {
        var memory = directory.Figures;
        var shared = directory.Shared;
        return Ok(new CacheStats(
            directory.HitRate,
            new MemoryStats(memory.Entries, memory.Hits, memory.Misses, memory.HitRate),
            new RedisStats(shared.IsEnabled, shared.IsAvailable, shared.Hits, shared.Misses, shared.HitRate),
            Math.Round(poller.Staleness?.TotalSeconds ?? 0, 3)));
    }
}

/// <summary>Look-ups since the start. Rates are 0 to 1, and 0 before any look-up.</summary>
/// <param name="HitRate">Look-ups answered by memory or Redis, of all.</param>
/// <param name="StalenessSeconds">How long ago this node last saw the ledger.</param>
public sealed record CacheStats(double HitRate, MemoryStats Memory, RedisStats Redis, double StalenessSeconds);

/// <param name="Entries">Keys held now, and ids known not to exist.</param>
public sealed record MemoryStats(int Entries, long Hits, long Misses, double HitRate);

/// <summary>Look-ups that memory did not answer and Redis was asked for.</summary>
/// <param name="Enabled">Is a Redis configured for the cache?</param>
/// <param name="Available">Does it answer now?</param>
public sealed record RedisStats(bool Enabled, bool Available, long Hits, long Misses, double HitRate);
