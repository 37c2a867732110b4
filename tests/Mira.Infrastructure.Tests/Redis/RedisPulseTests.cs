using Mira.Infrastructure.Redis;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>
/// When a server is silent, and when it is only the judge that was late. Times are given, not measured.
/// </summary>
public class RedisPulseTests
{
    private static readonly TimeSpan Pace = Milliseconds(20);

    private RedisPulse _pulse = null!;

    [SetUp]
    public void SetUp() => _pulse = new RedisPulse();

    [Test]
    public void A_stalled_server_is_known_within_150_ms()
    {
        Answer(looks: 50, delay: 0);
        Assert.That(SilenceUntilFound(), Is.LessThanOrEqualTo(150));
    }

    [TestCase(1)]
    [TestCase(5)]
    [TestCase(12)]
    [TestCase(13)]
    public void A_server_that_answers_late_and_always_is_not_silent(int looksLate) => Answer(looks: 200, delay: looksLate);

    [Test]
    public void A_server_that_takes_longer_than_a_command_waits_does_not_answer()
    {
        var asked = 0;
        while (!_pulse.IsSilent)
        {
            Look(Pace, answers: asked > 16 ? 1 : 0);
            Assert.That(++asked, Is.LessThan(40));
        }
    }

    [TestCase(26)]
    [TestCase(500)]
    [TestCase(60_000)]
    public void A_judge_that_was_late_knows_nothing_of_that_time(int milliseconds)
    {
        Answer(looks: 50, delay: 0);
        for (var look = 0; look < 100; look++)
        {
            Assert.That(Look(Milliseconds(milliseconds), answers: 0), Is.False, "it was late");
            Assert.That(_pulse.IsSilent, Is.False);
        }
    }

    [Test]
    public void Late_looks_between_do_not_hide_a_server_that_is_gone()
    {
        Answer(looks: 50, delay: 0);
        var punctual = 0;
        for (var look = 0; !_pulse.IsSilent; look++)
            punctual += Look(look % 2 == 0 ? Milliseconds(300) : Pace, answers: 0) ? 1 : 0;
        Assert.That(punctual, Is.LessThanOrEqualTo(8));
    }

    [Test]
    public void It_is_heard_again_when_it_answers()
    {
        Answer(looks: 50, delay: 0);
        var open = SilenceUntilFound() / 20;
        Look(Pace, answers: open + 1);
        Assert.That(_pulse.IsSilent, Is.False);
    }

    [Test]
    public void Without_a_question_nobody_is_silent()
    {
        for (var look = 0; look < 100; look++)
            _pulse.Pass(Pace, Pace);
        Assert.That(_pulse.IsSilent, Is.False);
    }

    private int SilenceUntilFound()
    {
        var silence = 0;
        for (; !_pulse.IsSilent; silence += 20)
            Look(Pace, answers: 0);
        return silence;
    }

    private void Answer(int looks, int delay)
    {
        for (var look = 0; look < looks; look++)
        {
            Look(Pace, answers: look >= delay ? 1 : 0);
            Assert.That(_pulse.IsSilent, Is.False, $"look {look}");
        }
    }

    private bool Look(TimeSpan elapsed, int answers)
    {
        if (_pulse.MayAsk)
            _pulse.Ask();
        var isPunctual = _pulse.Pass(Pace, elapsed);
        for (var answer = 0; answer < answers; answer++)
            _pulse.Answer();
        return isPunctual;
    }

    private static TimeSpan Milliseconds(int count) => TimeSpan.FromMilliseconds(count);
}
