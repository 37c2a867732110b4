using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Background;

/// <summary>Writes what <see cref="UsageLog"/> collected, every two seconds and once more at the end.</summary>
public sealed partial class UsageFlush(UsageLog usage, IUsageStore store, TimeProvider clock, ILogger<UsageFlush> log, LoopBoard? board = null)
    : BackgroundLoops(clock, board)
{
    private const int BatchSize = 1_000;

    /// <summary>
    /// What one flush writes at most, so that it costs a node under full load next to nothing; the rest comes with the
    /// next ones.
    /// </summary>
    private const int MostAtOnce = 5_000;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await FlushAsync(int.MaxValue).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    protected override IEnumerable<Loop> Loops() => [new("usage_flush", Interval, _ => FlushAsync(MostAtOnce)) { HasWork = () => usage.Pending > 0 }];

    // No more than were waiting at its begin: under load those it has written wait again at once.
    private async Task FlushAsync(int most)
    {
        var left = Math.Min(usage.Pending, most);
        while (left > 0 && usage.Take(Math.Min(BatchSize, left)) is { Count: > 0 } batch)
        {
            left -= batch.Count;
            var rest = await BatchWrite.RunAsync(batch, part => store.WriteAsync(part, CancellationToken.None), Refuse);
            if (rest.Left.Count == 0)
                continue;

            usage.Return(rest.Left);
            LogDelayed(rest.Left.Count, rest.Cause?.InnerException?.Message);
            return;
        }
    }

    private void Refuse(SecretUse use, Exception cause) => LogRefused(cause, use.KeyId, use.Secret.Version);

    [LoggerMessage(Level = LogLevel.Error, Message = "The last use of {KeyId}, secret {Version}, cannot be written and is given up; the others are written")]
    private partial void LogRefused(Exception cause, KeyId keyId, int version);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The last use of {Count} secrets is not written yet: {Cause}")]
    private partial void LogDelayed(int count, string? cause);
}
