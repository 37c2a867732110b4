namespace Mira.Infrastructure.Redis;

/// <summary>
/// Decides by questions and answers alone whether a server still answers. Time in which the judge itself was late does
/// not count: it knows nothing of that time. Not safe for several threads.
/// </summary>
internal sealed class RedisPulse
{
    /// <summary>
    /// A server that answered is silent when an answer takes so much longer than the last ones did. An answer is seen
    /// at the next look, so that with looks every 20 ms a stalled server is known within 140 ms.
    /// </summary>
    public static readonly TimeSpan LongestSilence = TimeSpan.FromMilliseconds(80);

    /// <summary>
    /// A server whose answers take longer does not answer: what a command waits, and two looks of the judge.
    /// </summary>
    public static readonly TimeSpan LongestAnswer = TimeSpan.FromMilliseconds(290);

    /// <summary>
    /// A judge that looks so much later than it meant to is late. Little, because on a machine where a thread waits
    /// this long for a processor, a Redis beside it waits as well.
    /// </summary>
    public static readonly TimeSpan Lateness = TimeSpan.FromMilliseconds(5);

    private const int MostQuestions = 64;

    private readonly Queue<TimeSpan> _open = new();
    private TimeSpan _punctualTime;
    private TimeSpan _usualAnswer = LongestAnswer - LongestSilence;

    /// <summary>Is an answer overdue?</summary>
    public bool IsSilent =>
        _open.TryPeek(out var asked) && _punctualTime - asked > (_usualAnswer + LongestSilence is var most && most < LongestAnswer ? most : LongestAnswer);

    public bool MayAsk => _open.Count < MostQuestions;

    /// <summary>The judge looks again.</summary>
    /// <param name="meant">How long it meant to wait.</param>
    /// <param name="elapsed">How long it did.</param>
    /// <returns>False when it was late.</returns>
    public bool Pass(TimeSpan meant, TimeSpan elapsed)
    {
        var isPunctual = elapsed <= meant + Lateness;
        if (isPunctual)
            _punctualTime += elapsed;
        return isPunctual;
    }

    /// <summary>A question has left for the server.</summary>
    public void Ask() => _open.Enqueue(_punctualTime);

    /// <summary>The oldest question was answered.</summary>
    public void Answer()
    {
        if (!_open.TryDequeue(out var asked))
            return;

        var answer = _punctualTime - asked;
        var before = _usualAnswer * 3 / 4;
        _usualAnswer = answer > before ? answer : before;
    }
}
