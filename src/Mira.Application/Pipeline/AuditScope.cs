using MediatR;
using Mira.Domain.Ledger;

namespace Mira.Application.Pipeline;

/// <summary>Who sends messages, as the host knows it.</summary>
public interface ICaller
{
    Actor Actor { get; }

    string? CorrelationId { get; }
}

/// <summary>Who acts in this scope: stamped on every event it commits.</summary>
public sealed class AuditScope
{
    public Actor Actor { get; private set; } = Actor.System;

    public string? CorrelationId { get; private set; }

    public void Enter(ICaller caller) => (Actor, CorrelationId) = (caller.Actor, caller.CorrelationId);

    /// <summary>The event as it goes into the ledger: done by who acts here.</summary>
    public PendingEvent DraftOf(KeyEvent happened, string? subject) =>
        new(happened.Type, Actor, subject, CorrelationId) { Outcome = happened.Outcome, Reason = happened.Reason, Changes = happened.Changes };
}

/// <summary>Notes who sent the message before anything is done for it.</summary>
public sealed class AuditScopeBehavior<TRequest, TResponse>(ICaller caller, AuditScope scope) : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
{
    public Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        scope.Enter(caller);
        return next();
    }
}
