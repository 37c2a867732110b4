using System.Diagnostics;
using System.Runtime.InteropServices;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Tokens;

/// <summary>
/// Does comparing digests take as long whether they differ in the first or in the last byte? Two batches, one of each,
/// run side by side and give one ratio; what else the machine does falls on both or on few of the pairs, and the median
/// of many ratios does not see it. The control, which stops at the first difference, is measured in the same way and
/// must be found.
/// </summary>
[NonParallelizable]
public class ConstantTimeTests
{
    private const int Pairs = 200;
    private const int Batch = 4000;

    // Measured, also with three busy processes on two cores: 0.999 to 1.001 for the fixed-time comparison, 3.3 to 6.2
    // for the control.
    private const double Same = 1.1;
    private const double Different = 2;

    private delegate bool Comparison(in Digest left, in Digest right);

    [Test]
    public void Comparing_takes_the_same_time_wherever_digests_differ() =>
        Assert.That(LastToFirst(Digest.FixedTimeEquals), Is.InRange(1 / Same, Same));

    [Test]
    public void A_comparison_that_stops_at_the_first_difference_is_found() =>
        Assert.That(LastToFirst(StopAtTheFirstDifference), Is.GreaterThan(Different));

    /// <summary>How many times longer it takes when the last byte differs than when the first does.</summary>
    private static double LastToFirst(Comparison compare)
    {
        var digest = DigestWith(0, 0);
        var first = DigestWith(0, 1);
        var last = DigestWith(Digest.Size - 1, 1);
        for (var i = 0; i < 20; i++)
            _ = Time(compare, digest, first) + Time(compare, digest, last);

        var ratios = new double[Rounds.Of(Pairs)];
        for (var i = 0; i < ratios.Length; i++)
        {
            // In turns, so that being first or second in a pair favours neither.
            if (i % 2 == 0)
                ratios[i] = 1 / Time(compare, digest, first) * Time(compare, digest, last);
            else
                ratios[i] = Time(compare, digest, last) / Time(compare, digest, first);
        }

        Array.Sort(ratios);
        TestContext.Out.WriteLine($"median {ratios[ratios.Length / 2]:f3}, quartiles {ratios[ratios.Length / 4]:f3} and {ratios[ratios.Length * 3 / 4]:f3}");
        return ratios[ratios.Length / 2];
    }

    private static double Time(Comparison compare, in Digest left, in Digest right)
    {
        var equal = 0;
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < Batch; i++)
            equal += compare(left, right) ? 1 : 0;
        var time = Stopwatch.GetTimestamp() - start;
        return equal == 0 ? time : throw new InvalidOperationException("They differ.");
    }

    private static Digest DigestWith(int index, byte value)
    {
        var bytes = new byte[Digest.Size];
        bytes[index] = value;
        return Digest.From(bytes);
    }

    // Sees the bytes in place: copying them out first would take longer than comparing them.
    private static bool StopAtTheFirstDifference(in Digest left, in Digest right)
    {
        var one = MemoryMarshal.AsBytes(new ReadOnlySpan<Digest>(in left));
        var other = MemoryMarshal.AsBytes(new ReadOnlySpan<Digest>(in right));
        for (var i = 0; i < one.Length; i++)
        {
            if (one[i] != other[i])
                return false;
        }

        return true;
    }
}
