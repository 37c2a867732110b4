using Microsoft.Extensions.Time.Testing;
using Mira.Application.Background;

namespace Mira.Application.Tests.Background;

public sealed class QuietTimeTests
{
    private readonly FakeTimeProvider _clock = new();

    [Test]
    public void It_becomes_quiet_a_while_after_the_last_call_was_noticed()
    {
        var quiet = new QuietTime(isShared: false, _clock);
        Assert.That(quiet.IsNow, Is.False, "a node that has just started");
        _clock.Advance(QuietTime.After);
        Assert.That(quiet.IsNow);

        quiet.NoteCall();
        Assert.That(quiet.IsNow, Is.False);
        _clock.Advance(QuietTime.After - TimeSpan.FromMilliseconds(1));
        Assert.That(quiet.IsNow, Is.False);
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.That(quiet.IsNow);
    }

    [Test]
    public void A_store_that_nodes_share_is_never_quiet()
    {
        var quiet = new QuietTime(isShared: true, _clock);
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.That(quiet.IsNow, Is.False);
    }
}
