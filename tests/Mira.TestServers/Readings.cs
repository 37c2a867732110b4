using System.Diagnostics.Metrics;

namespace Mira.TestServers;

/// <summary>What the instruments of one meter say, as an exporter would read them.</summary>
public sealed class Readings : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Dictionary<string, List<double>> _readings = [];

    /// <param name="isMeant">Which instruments are listened to: meters of other tests bear the same name.</param>
    public Readings(Func<Instrument, bool> isMeant)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (isMeant(instrument))
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((instrument, value, labels, _) => Note(instrument, value, labels));
        _listener.SetMeasurementEventCallback<long>((instrument, value, labels, _) => Note(instrument, value, labels));
        _listener.Start();
    }

    /// <summary>What was recorded, and what is read now, by <c>name</c> or <c>name label=value</c>.</summary>
    public IReadOnlyDictionary<string, List<double>> Look()
    {
        _listener.RecordObservableInstruments();
        return _readings;
    }

    public void Dispose() => _listener.Dispose();

    private void Note(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> labels)
    {
        var name = instrument.Name;
        foreach (var (label, text) in labels)
            name += $" {label}={text}";
        if (!_readings.TryGetValue(name, out var values))
            _readings[name] = values = [];
        values.Add(value);
    }
}
