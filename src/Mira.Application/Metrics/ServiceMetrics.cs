using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Mira.Domain.Keys;

namespace Mira.Application.Metrics;

/// <summary>
/// What the service measures of itself, under the names callers know (docs/reference.md, "Metrics"). No key id, path or
/// other open-ended value is a label. What is counted on every call is counted without a listener's help, and read when
/// somebody asks.
/// </summary>
public sealed class ServiceMetrics : IDisposable
{
    public const string MeterName = "Mira";
    public const string ValidationDuration = "api_key_validation_duration";

    private static readonly VerdictCode[] Codes = Enum.GetValues<VerdictCode>();

    /// <summary>
    /// Why callers are refused: the error codes they get. These are shown before they first happen; any other code is
    /// shown from then on.
    /// </summary>
    private static readonly string[] Refusals =
    [
        "missing_credentials", "ambiguous_credentials", "credentials_in_query", "invalid_key", "key_expired", "key_revoked", "key_disabled",
        "key_rotated_out", "ip_not_allowed", "too_many_failures",
    ];

    private readonly Meter _meter = new(MeterName);
    private readonly ConcurrentDictionary<string, ShardedCounter> _refusals = new(Refusals.Select(reason => KeyValuePair.Create(reason, new ShardedCounter())));
    private readonly ShardedCounter[] _validations = [.. Codes.Select(_ => new ShardedCounter())];
    private readonly Histogram<double> _duration;

    public ServiceMetrics()
    {
        _duration = _meter.CreateHistogram<double>(ValidationDuration, "s", "How long deciding about a presented key took");
        _meter.CreateObservableCounter(
            "api_key_validations", () => Codes.Select(code => Of(_validations[(int)code].Value, ("result", code.Name()))), null, "Decisions about presented keys");
        _meter.CreateObservableCounter(
            "failed_authentications", () => _refusals.Select(pair => Of(pair.Value.Value, ("reason", pair.Key))), null, "Callers that were refused, by what they were told");
    }

    /// <summary>Takes in all who have figures of their own.</summary>
    public ServiceMetrics Watching(IEnumerable<IMetricSource> measured)
    {
        var instruments = new Instruments(_meter);
        foreach (var one in measured)
            one.Register(instruments);
        return this;
    }

    /// <summary>Counts a caller that was refused.</summary>
    /// <param name="reason">The code of the error, of which there is a fixed number.</param>
    public void CountRefusal(string reason) => _refusals.GetOrAdd(reason, static _ => new ShardedCounter()).Increment();

    /// <param name="elapsed">How long the decision took.</param>
    public void Count(VerdictCode code, TimeSpan elapsed)
    {
        _validations[(int)code].Increment();
        _duration.Record(elapsed.TotalSeconds);
    }

    public void Dispose() => _meter.Dispose();

    private static Measurement<long> Of(long value, (string Name, string Value) label) => new(value, KeyValuePair.Create(label.Name, (object?)label.Value));
}
