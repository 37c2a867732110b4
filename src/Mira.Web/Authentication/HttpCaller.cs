using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Web.Requests;

namespace Mira.Web.Authentication;

/// <summary>Who sends messages: the key that made the request; without a request, the service itself.</summary>
public sealed class HttpCaller(CurrentRequest request) : ICaller
{
    public Actor Actor => request.Context is { } context ? ActorOf(context, (context.User as ApiKeyPrincipal)?.Key) : Actor.System;

    public string? CorrelationId => request.Context is { } context ? CorrelationMiddleware.IdOf(context) : null;

    /// <param name="key">Null for somebody unknown, of whom there is only where he comes from.</param>
    internal static Actor ActorOf(HttpContext context, ApiKey? key)
    {
        var address = ApiKeyAuthenticationHandler.AddressOf(context)?.ToString();
        return new Actor(key?.Id.Value, key?.Name, key?.Role.Name(), address, context.Request.Headers.UserAgent.ToString());
    }
}
