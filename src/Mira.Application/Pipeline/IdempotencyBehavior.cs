using System.Collections.Concurrent;
using MediatR;
using Mira.Application.Ledger;

namespace Mira.Application.Pipeline;

/// <summary>A message whose answer is remembered for its caller.</summary>
public interface IIdempotentRequest
{
    IdempotentRequest? IdempotentRequest { get; }
}

/// <summary>
/// Refuses a repeat while the first request still runs in this process. It holds nothing but what runs now, so a crash
/// leaves no reservation behind; on another node the repeat waits for the ledger's lock and then gets the answer.
/// </summary>
public sealed class IdempotencyBehavior<TRequest, TResponse>(RunningIdempotentRequests running) : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
{
    /// <exception cref="IdempotencyInProgressException">The first request still runs.</exception>
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        if (request is not IIdempotentRequest { IdempotentRequest: { } repeat })
            return await next();

        if (!running.TryEnter(repeat))
            throw new IdempotencyInProgressException();

        try
        {
            return await next();
        }
        finally
        {
            running.Leave(repeat);
        }
    }
}

/// <summary>The idempotent requests that run in this process now.</summary>
public sealed class RunningIdempotentRequests
{
    private readonly ConcurrentDictionary<(string Caller, string Key), byte> _running = new();

    public bool TryEnter(IdempotentRequest repeat) => _running.TryAdd((repeat.Caller, repeat.Key), 0);

    public void Leave(IdempotentRequest repeat) => _running.TryRemove((repeat.Caller, repeat.Key), out _);
}

public sealed class IdempotencyInProgressException()
    : Exception("The first request with this Idempotency-Key has not ended yet.");
