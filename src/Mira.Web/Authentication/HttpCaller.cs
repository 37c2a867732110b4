using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Web.Hosting;

namespace Mira.Web.Authentication;

/// <summary>Who sends messages: the key that made the request; without a request, the service itself.</summary>
public sealed class HttpCaller(CurrentRequest request) : ICaller
{
    public Actor Actor => request.Context is { } context ? ActorOf(context) : Actor.System;

    public string? CorrelationId => request.Context is { } context ? CorrelationMiddleware.IdOf(context) : null;

    private static Actor ActorOf(HttpContext context)
    {
        var address = ApiKeyAuthenticationHandler.AddressOf(context)?.ToString();
        var userAgent = context.Request.Headers.UserAgent.ToString();
        return context.User is ApiKeyPrincipal { Key: var key }
            ? new Actor(key.Id.Value, key.Name, key.Role.Name(), address, userAgent)
            : new Actor(null, null, null, address, userAgent);
    }
}
