using System.Diagnostics.Metrics;
using Mira.Application.Metrics;
using Mira.TestServers;

namespace Mira.Application.Tests.Metrics;

public sealed class InstrumentsTests : IDisposable
{
    private Meter _meter = null!;
    private Instruments _instruments = null!;
    private Readings _readings = null!;

    [SetUp]
    public void SetUp()
    {
        _meter = new Meter("Mira");
        _instruments = new Instruments(_meter);
        _readings = new Readings(instrument => instrument.Meter == _meter);
    }

    [TearDown]
    public void Dispose()
    {
        _readings.Dispose();
        _meter.Dispose();
    }

    [Test]
    public void What_is_put_up_is_read_each_time_somebody_looks()
    {
        var value = 1;
        _instruments.Gauge("a", "", () => value);
        _instruments.Counter("b", "", () => value * 10);
        _instruments.Flag("c", "", () => value == 2);
        _readings.Look();
        value = 2;

        var seen = _readings.Look();

        Assert.That(seen["a"], Is.EqualTo(new[] { 1.0, 2 }));
        Assert.That(seen["b"], Is.EqualTo(new[] { 10.0, 20 }));
        Assert.That(seen["c"], Is.EqualTo(new[] { 0.0, 1 }));
    }

    [Test]
    public void What_there_is_nothing_to_say_of_is_left_out()
    {
        double? late = null;
        _instruments.Gauge("a", "", () => late);
        _instruments.Gauge("b", "", "use", [("x", () => late), ("y", () => 3)]);
        Assert.That(_readings.Look().Keys, Is.EqualTo(new[] { "b use=y" }));

        late = 0;

        Assert.That(_readings.Look().Keys, Is.EquivalentTo(new[] { "a", "b use=x", "b use=y" }));
    }

    [Test]
    public void A_count_has_a_row_for_each_value_of_its_label()
    {
        _instruments.Counter("a", "", "role", [("viewer", () => 1), ("admin", () => 2)]);
        var seen = _readings.Look();
        Assert.That((seen["a role=viewer"].Single(), seen["a role=admin"].Single()), Is.EqualTo((1.0, 2.0)));
    }
}
