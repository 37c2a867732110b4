using System.Diagnostics.Metrics;

namespace Mira.Application.Metrics;

/// <summary>
/// What has figures of its own to show. An adapter registers itself as one, and nobody else need know it: all of them
/// are asked once, when the service starts, and what they put up is read each time somebody looks.
/// </summary>
public interface IMetricSource
{
    void Register(Instruments instruments);
}

/// <summary>
/// Puts figures up under their names, to which the exporter adds the unit and <c>_total</c>. Nothing is done for them
/// on any call: they are read when somebody looks, so a reading must be cheap, wait for nothing and not throw. The
/// values of a label are few and known beforehand.
/// </summary>
public sealed class Instruments(Meter meter)
{
    public const string Seconds = "s";

    /// <param name="read">Null while there is nothing to show.</param>
    public void Gauge(string name, string help, Func<double?> read, string? unit = null) =>
        meter.CreateObservableGauge(name, () => read() is { } value ? [new Measurement<double>(value)] : Array.Empty<Measurement<double>>(), unit, help);

    /// <summary>One reading for each value of a label.</summary>
    public void Gauge(string name, string help, string label, IEnumerable<(string Value, Func<double?> Read)> readings, string? unit = null) =>
        meter.CreateObservableGauge(
            name,
            () => readings.Select(reading => (reading.Value, Figure: reading.Read())).Where(reading => reading.Figure is not null)
                .Select(reading => new Measurement<double>(reading.Figure!.Value, Label(label, reading.Value))),
            unit,
            help);

    /// <summary>1 or 0.</summary>
    public void Flag(string name, string help, Func<bool> read) => Gauge(name, help, () => read() ? 1 : 0);

    /// <param name="read">What only grows, from the start of the process.</param>
    public void Counter(string name, string help, Func<long> read) => meter.CreateObservableCounter(name, read, null, help);

    /// <summary>One count for each value of a label.</summary>
    public void Counter(string name, string help, string label, IEnumerable<(string Value, Func<long> Read)> readings) =>
        meter.CreateObservableCounter(name, () => readings.Select(reading => new Measurement<long>(reading.Read(), Label(label, reading.Value))), null, help);

    /// <summary>One count for each pair of values of two labels.</summary>
    public void Counter(
        string name, string help, (string First, string Second) labels, IEnumerable<(string First, string Second, Func<long> Read)> readings) =>
        meter.CreateObservableCounter(
            name,
            () => readings.Select(reading => new Measurement<long>(reading.Read(), Label(labels.First, reading.First), Label(labels.Second, reading.Second))),
            null,
            help);

    private static KeyValuePair<string, object?> Label(string name, string value) => new(name, value);
}
