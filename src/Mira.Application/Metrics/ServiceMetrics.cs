using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using Mira.Application.Limits;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Application.Metrics;

/// <summary>
/// What the service measures of itself, under the names callers know (docs/reference.md, "Metrics"). No key id, path or other open-ended value is a label.
/// What is counted on every call is counted without a listener's help, and read when somebody asks.
/// </summary>
public sealed class ServiceMetrics : IDisposable
{
    public const string MeterName = "Mira";
    public const string ValidationDuration = "api_key_validation_duration";

    private static readonly VerdictCode[] Codes = Enum.GetValues<VerdictCode>();

    /// <summary>Why callers are not let in: the codes they are told.</summary>
    private static readonly string[] Refusals =
    [
        "missing_credentials", "ambiguous_credentials", "credentials_in_query", "invalid_key", "key_expired", "key_revoked", "key_disabled",
        "key_rotated_out", "ip_not_allowed", "too_many_failures",
    ];

    private readonly Meter _meter = new(MeterName);
    private readonly FrozenDictionary<string, ShardedCounter> _refusals = Refusals.ToFrozenDictionary(reason => reason, _ => new ShardedCounter());
    private readonly ShardedCounter[] _validations = [.. Codes.Select(_ => new ShardedCounter())];
    private readonly Histogram<double> _duration;

    public ServiceMetrics()
    {
        _duration = _meter.CreateHistogram<double>(ValidationDuration, "s", "How long deciding about a presented key took");
        _meter.CreateObservableCounter(
            "api_key_validations", () => Codes.Select(code => Of(_validations[(int)code].Value, ("result", code.Name()))), null, "Decisions about presented keys");
        _meter.CreateObservableCounter(
            "failed_authentications", () => _refusals.Select(pair => Of(pair.Value.Value, ("reason", pair.Key))), null, "Callers that were not let in, by what they were told");
    }

    /// <summary>Takes in what others count.</summary>
    public ServiceMetrics Watching(KeyDirectory directory, RateLimiter limiter)
    {
        _meter.CreateObservableGauge("cache_hit_rate", () => directory.HitRate, null, "Look-ups answered by memory or Redis, of all; 0 before any");
        _meter.CreateObservableCounter("cache_requests", () => Lookups(directory), null, "Look-ups by layer and result");
        _meter.CreateObservableGauge("cache_entries", () => directory.Figures.Entries, null, "Keys in memory, and ids known not to exist");
        _meter.CreateObservableCounter(
            "rate_limit_rejections", () => Roles.All.Select(role => Of(limiter.RejectionsOf(role), ("role", role.Name()))), null, "Calls refused because a key's limit was reached");
        _meter.CreateObservableGauge(
            "rate_limiter_degraded", () => limiter.IsDegraded ? 1 : 0, null, "1 while this node counts alone, because the shared windows do not answer");
        _meter.CreateObservableCounter(
            "rate_limit_decided_alone", () => limiter.DecidedAlone, null, "Calls this node decided by its own windows alone, because the shared ones did not answer in time");
        return this;
    }

    /// <summary>Takes in all who have figures of their own.</summary>
    public ServiceMetrics Watching(IEnumerable<IMeasured> measured)
    {
        var instruments = new Instruments(_meter);
        foreach (var one in measured)
            one.ShowOn(instruments);
        return this;
    }

    /// <summary>A caller was not let in. Ones for the same reason are counted together; one that is not listed above is not counted.</summary>
    public void CountRefusal(string reason)
    {
        if (_refusals.TryGetValue(reason, out var count))
            count.Increment();
    }

    /// <param name="elapsed">How long the decision took.</param>
    public void Count(VerdictCode code, TimeSpan elapsed)
    {
        _validations[(int)code].Increment();
        _duration.Record(elapsed.TotalSeconds);
    }

    public void Dispose() => _meter.Dispose();

    private static IEnumerable<Measurement<long>> Lookups(KeyDirectory directory)
    {
        var (memory, redis) = (directory.Figures, directory.Shared);
        yield return Of(memory.Hits, ("layer", "memory"), ("result", "hit"));
        yield return Of(memory.Misses, ("layer", "memory"), ("result", "miss"));
        yield return Of(redis.Hits, ("layer", "redis"), ("result", "hit"));
        yield return Of(redis.Misses, ("layer", "redis"), ("result", "miss"));
    }

    private static Measurement<long> Of(long value, params (string Name, string Value)[] labels) =>
        new(value, labels.Select(label => KeyValuePair.Create(label.Name, (object?)label.Value)));
}
