using System.Text;
using System.Threading.Channels;
using Mira.Application.Background;
using Mira.Application.Metrics;
using Mira.Web.Requests;

namespace Mira.Web.Logging;

/// <summary>
/// A line for each request (<c>LOG_REQUESTS=true</c>), written beside the requests: theirs is to put down what they
/// were, and when the output cannot keep up, lines are left out and counted. It exists only when it was asked for.
/// </summary>
public sealed class RequestLog : BackgroundLoops, IMetricSource
{
    /// <summary>Lines that may wait to be written.</summary>
    public const int QueueLength = 8_192;

    /// <summary>Lines written at once.</summary>
    private const int BatchLength = 256;

    private const string Category = "Mira.Web.Requests";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ShardedCounter _dropped = new();
    private readonly Channel<LogLine> _lines;
    private readonly LogFormat _format;

    public RequestLog(LogFormat format, TimeProvider clock, LoopBoard? board = null)
        : base(clock, board)
    {
        _format = format;
        _lines = Channel.CreateBounded<LogLine>(
            new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true }, _ => _dropped.Increment());
    }

    /// <summary>Lines left out because the output could not keep up.</summary>
    public long Dropped => _dropped.Value;

    public void Register(Instruments instruments) =>
        instruments.Counter("request_log_dropped", "Lines about requests that were left out because the output could not keep up", () => Dropped);

    /// <param name="request">As it came and as it was answered.</param>
    public void Note(HttpContext context, ServedRequest request, DateTimeOffset now)
    {
        if (!_lines.Writer.TryWrite(new LogLine(now, LogLevel.Information, Category, "") { Request = request }.Of(context)))
            _dropped.Increment();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // What is there is still written.
        _lines.Writer.TryComplete();
        await (ExecuteTask is null ? Task.CompletedTask : _written.Task).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
    }

    // On a thread of its own: whoever reads the output may stand still.
    protected override IEnumerable<Loop> Loops() =>
    [
        new(
            "request_log",
            Interval,
            (record, _) => Task.Factory.StartNew(() => Write(record), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))
        {
            StartsAtOnce = true,
        },
    ];

    private void Write(LoopRecord record)
    {
        var text = new StringBuilder();
        while (_lines.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            for (var count = 0; count < BatchLength && _lines.Reader.TryRead(out var line); count++)
                text.Append(Format(line)).Append('\n');
            // The same writer as the other lines go through, one at a time.
            Console.Out.Write(text);
            text.Clear();
            record.NoteSuccess();
        }

        _written.TrySetResult();
    }

    private string Format(LogLine line)
    {
        var request = line.Request! with { Method = TokenMask.Apply(line.Request.Method), Path = TokenMask.Apply(line.Request.Path) };
        var whole = line with { Request = request, Message = $"{request.Method} {request.Path} {request.Status}" };
        return _format.IsJson ? whole.ToJson() : whole.ToText();
    }
}

/// <summary>
/// Notes each request once it is answered. Outermost, so that it sees what was sent and what came of it.
/// </summary>
public sealed class RequestLogMiddleware(RequestDelegate next, RequestLog log, TimeProvider clock)
{
    private const int LongestPath = 1_024;

    public async Task InvokeAsync(HttpContext context)
    {
        var began = clock.GetTimestamp();
        var (method, path) = (context.Request.Method, context.Request.Path.Value ?? "");
        try
        {
            await next(context);
        }
        finally
        {
            var request = new ServedRequest(method, path.Length > LongestPath ? path[..LongestPath] : path, context.Response.StatusCode, clock.GetElapsedTime(began));
            log.Note(context, request, clock.GetUtcNow());
        }
    }
}
