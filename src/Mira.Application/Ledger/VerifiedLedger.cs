using Mira.Application.Metrics;

namespace Mira.Application.Ledger;

/// <summary>
/// How far this node has checked the stored chain, and when: each event up to there was looked at after that moment.
/// </summary>
public sealed class VerifiedLedger(TimeProvider clock) : IMetricSource
{
    // Before the first look the age counts from the start, so that a node that never comes to look shows as well.
    private volatile Verified _last = new(0, clock.GetTimestamp());

    /// <summary>The last event of the last look that found nothing; 0 before there was one.</summary>
    public long Seq => _last.Seq;

    /// <summary>How long ago that look began, or this node.</summary>
    public TimeSpan Age => clock.GetElapsedTime(_last.Began);

    /// <summary>Says that the whole chain was found right.</summary>
    /// <param name="seq">The last event of it.</param>
    /// <param name="began">When the look at it began, <see cref="TimeProvider.GetTimestamp"/>.</param>
    public void Note(long seq, long began) => _last = new Verified(seq, began);

    public void Register(Instruments instruments)
    {
        instruments.Gauge("ledger_verified_seq", "The event up to which this node has found the stored chain right when it last looked through it", () => Seq);
        instruments.Gauge("ledger_verified_age", "How long ago that look began", () => Age.TotalSeconds, Instruments.Seconds);
    }

    private sealed record Verified(long Seq, long Began);
}
