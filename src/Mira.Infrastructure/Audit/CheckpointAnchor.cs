using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Audit;

/// <summary>
/// Carries checkpoints to where they are kept outside, beside everything else: a store that cannot be reached is tried
/// again, and nothing waits for it. When it stays away for long, the newest are what counts: they stand for all before
/// them.
/// </summary>
public sealed partial class CheckpointAnchor(AnchorOptions options, TimeProvider clock, ILogger<CheckpointAnchor> log, LoopBoard? board = null)
    : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestSilence = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _one = new(1, 1);
    private readonly Queue<Checkpoint> _waiting = new();
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { Timeout = Patience };
    private TimeSpan _pause = Interval;
    private long _failedAt;
    private volatile bool _hasFailed;

    /// <summary>Did the last one arrive? Null when no external checkpoint store is configured.</summary>
    public bool? IsWorking => options.IsGiven ? !_hasFailed : null;

    public void Offer(Checkpoint checkpoint)
    {
        if (!options.IsGiven)
            return;

        lock (_lock)
        {
            _waiting.Enqueue(checkpoint);
            if (_waiting.Count > options.MostWaiting)
                _waiting.Dequeue();
        }
    }

    /// <summary>Carries away what is left, for a few seconds.</summary>
    public async Task FlushAsync()
    {
        using var patience = new CancellationTokenSource(LastPatience, Clock);
        await DeliverAsync(patience.Token);
    }

    public override void Dispose()
    {
        _http.Dispose();
        _one.Dispose();
        base.Dispose();
    }

    protected override IEnumerable<Loop> Loops() => options.IsGiven ? [new("anchor", Interval, TryDeliverAsync) { HasWork = () => Peek() is not null }] : [];

    private Task TryDeliverAsync(CancellationToken cancellationToken) =>
        !_hasFailed || Clock.GetElapsedTime(_failedAt) >= _pause ? DeliverAsync(cancellationToken) : Task.CompletedTask;

    private async Task DeliverAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(CancellationToken.None);
        try
        {
            while (Peek() is { } next)
            {
                if (LineOf(next) is { } line)
                    await (options.File is { } file ? AnchorFile.AppendAsync(file, line, cancellationToken) : PostAsync(line, cancellationToken));
                Remove(next);
                if (_hasFailed)
                    LogBack();
                (_hasFailed, _pause) = (false, Interval);
            }
        }
        catch (Exception exception)
        {
            if (cancellationToken.IsCancellationRequested)
                return;

            var isNew = !_hasFailed;
            (_hasFailed, _failedAt) = (true, Clock.GetTimestamp());
            _pause = _pause * 2 < LongestSilence ? _pause * 2 : LongestSilence;
            if (isNew)
                LogAway(exception.Message);
        }
        finally
        {
            _one.Release();
        }
    }

    // One that cannot be written as a line is left out: those after it stand for more than it does.
    private string? LineOf(Checkpoint checkpoint)
    {
        try
        {
            return checkpoint.ToLine();
        }
        catch (Exception exception)
        {
            LogLeftOut(exception, checkpoint.Seq);
            return null;
        }
    }

    private async Task PostAsync(string line, CancellationToken cancellationToken)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(line));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var answer = await _http.PostAsync(options.Address, content, cancellationToken);
        answer.EnsureSuccessStatusCode();
    }

    private Checkpoint? Peek()
    {
        lock (_lock)
            return _waiting.TryPeek(out var next) ? next : null;
    }

    private void Remove(Checkpoint delivered)
    {
        lock (_lock)
        {
            if (_waiting.TryPeek(out var next) && ReferenceEquals(next, delivered))
                _waiting.Dequeue();
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The checkpoint at {Seq} cannot be written and is left out")]
    private partial void LogLeftOut(Exception exception, long seq);

    [LoggerMessage(Level = LogLevel.Error, Message = "Checkpoints do not reach their anchor: {Cause}")]
    private partial void LogAway(string cause);

    [LoggerMessage(Level = LogLevel.Information, Message = "Checkpoints reach their anchor again")]
    private partial void LogBack();
}
