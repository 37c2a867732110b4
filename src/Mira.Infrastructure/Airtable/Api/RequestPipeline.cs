using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// How a call goes to Airtable: a limit for the whole of it → further attempts → a breaker → its turn at the pace → a
/// limit for the attempt.
/// </summary>
/// <remarks>
/// What is tried again: reads, deletions and changes by record id, which come to the same done twice; and whatever
/// surely was not applied. What is not: an upsert, or a new table or field, that may have been applied. Airtable has no
/// unique fields, so two upserts of one key that meet may both find no row and both make one; the caller first looks
/// what became of it. A change that was given up may even so be applied later, after newer ones.
/// </remarks>
public sealed class RequestPipeline
{
    /// <summary>
    /// So many connections that are waited for in vain end within the timeout of a change: it is then known not to have
    /// been sent, which would be unknown if its time ended amid an attempt.
    /// </summary>
    private const int FurtherAttemptsAtAChange = 2;
    private const int FurtherAttempts = 3;

    /// <summary>The breaker opens when this many attempts in a row came to nothing.</summary>
    private const int FailuresInARow = 8;

    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(5);

    private readonly AirtableOptions _options;
    private readonly AirtableAttempt _attempt;
    private readonly Dictionary<(CallPriority, bool IsRepeatable), ResiliencePipeline> _pipelines;
    private int _failures;

    public RequestPipeline(AirtableOptions options, RequestLimiter pace, TimeProvider clock)
    {
        _options = options;
        _attempt = new AirtableAttempt(options, pace, clock);
        var breaker = Builder(clock).AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            // Counted in a row, and not as a share of the last minutes, in which there may have been many good calls or
            // hardly any.
            ShouldHandle = result => ValueTask.FromResult(IsOneTooMany(result.Outcome.Exception)),
            FailureRatio = 0,
            MinimumThroughput = 2,
            SamplingDuration = Memory,
            BreakDuration = options.BreakDuration,
        }).Build();
        _pipelines = Enum.GetValues<CallPriority>()
            .SelectMany(urgency => new[] { (urgency, true), (urgency, false) })
            .ToDictionary(kind => kind, kind => Around(breaker, kind.urgency, kind.Item2, clock));
    }

    /// <exception cref="AirtableException">It came to nothing, or nobody knows.</exception>
    internal async Task<AirtableResponse> SendAsync(HttpClient http, AirtableCall call, CancellationToken cancellationToken)
    {
        try
        {
            return await _pipelines[(call.Urgency, call.IsRepeatable)]
                .ExecuteAsync(async token => await _attempt.SendAsync(http, call, token), cancellationToken);
        }
        catch (BrokenCircuitException exception)
        {
            throw new AirtableException("could not be asked the last times and is left alone for a while", FateOf(call), exception)
            {
                RetryAfter = exception.RetryAfter ?? _options.BreakDuration,
            };
        }
        catch (TimeoutRejectedException exception)
        {
            throw new AirtableException("could not be asked in time", FateOf(call), exception);
        }
        catch (AirtableException exception) when (exception.Fate != FateOf(call))
        {
            // An earlier attempt may have been applied, whatever was said to the last one.
            throw new AirtableException(exception, DeliveryState.Unknown);
        }
    }

    private static DeliveryState FateOf(AirtableCall call) => call.IsInDoubt ? DeliveryState.Unknown : DeliveryState.NotSent;

    private static ResiliencePipelineBuilder Builder(TimeProvider clock) => new() { TimeProvider = clock };

    private ResiliencePipeline Around(ResiliencePipeline breaker, CallPriority urgency, bool isRepeatable, TimeProvider clock) => Builder(clock)
        .AddTimeout(_options.PatienceOf(urgency).Total)
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = result => ValueTask.FromResult(
                result.Outcome.Exception is AirtableException { IsPassing: true } failure
                && (isRepeatable || failure.Fate == DeliveryState.NotSent)
                && !(failure.RetryAfter > _options.PatienceOf(urgency).Total)),
            DelayGenerator = result => ValueTask.FromResult((result.Outcome.Exception as AirtableException)?.RetryAfter),
            MaxRetryAttempts = urgency == CallPriority.Change ? FurtherAttemptsAtAChange : FurtherAttempts,
            Delay = _options.RetryDelay,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
        })
        .AddPipeline(breaker)
        .Build();

    private bool IsOneTooMany(Exception? exception)
    {
        switch (exception)
        {
            case AirtableException { Fate: DeliveryState.Unknown } or AirtableException { IsPassing: true, Status: null }:
                return Interlocked.Increment(ref _failures) >= FailuresInARow;
            case null or AirtableException { Status: not null }:
                // A refusal is an answer.
                Interlocked.Exchange(ref _failures, 0);
                return false;
            default:
                // A turn that was not given says nothing.
                return false;
        }
    }
}
