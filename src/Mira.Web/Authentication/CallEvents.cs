using System.Net;
using System.Net.Sockets;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Web.Problems;

namespace Mira.Web.Authentication;

/// <summary>
/// Notes refused calls for the ledger, aggregated by who made them and why; calls that are allowed come nowhere near
/// it.
/// </summary>
public sealed class CallEvents(AggregatedEvents gathered)
{
    private const int SubnetBytes = 8;

    /// <summary>A credential that did not authenticate, or that cannot be one.</summary>
    /// <param name="proved">The key whose secret was proved all the same. Its failures for one reason are one event,
    /// from however many addresses they come: whoever holds its secret must not be able to fill the ledger. The address
    /// of the first is shown.</param>
    public void Failed(HttpContext context, ProblemKind refusal, KeyId? proved = null) => gathered.Note(
        new EventGroup(EventType.AuthFailed, refusal.Code) { Subject = proved?.Value, Address = proved is null ? SourceOf(context) : null },
        context, static context => HttpCaller.ActorOf(context, null));

    /// <summary>A key that may not do this.</summary>
    public void Denied(HttpContext context, ApiKey key, ProblemKind refusal) => Note(EventType.AccessDenied, context, key, key, refusal);

    /// <summary>A key that has been used as often as it may.</summary>
    /// <param name="caller">Who used it: itself, or who asked about it.</param>
    public void Limited(HttpContext context, ApiKey key, ApiKey caller) => Note(EventType.LimitExceeded, context, key, caller, ProblemKind.RateLimited);

    /// <summary>An address from which too many invalid keys have come.</summary>
    public void Limited(HttpContext context) => gathered.Note(
        new EventGroup(EventType.LimitExceeded, ProblemKind.TooManyFailures.Code) { Address = SourceOf(context) },
        context, static context => HttpCaller.ActorOf(context, null));

    private void Note(string type, HttpContext context, ApiKey key, ApiKey caller, ProblemKind refusal) => gathered.Note(
        new EventGroup(type, refusal.Code) { Subject = key.Id.Value },
        (context, caller), static state => HttpCaller.ActorOf(state.context, state.caller));

    // As failures are counted: of IPv6, the /64 that one subscriber has.
    private static IPAddress? SourceOf(HttpContext context)
    {
        var address = ApiKeyAuthenticationHandler.AddressOf(context);
        if (address is not { AddressFamily: AddressFamily.InterNetworkV6 })
            return address;

        var bytes = address.GetAddressBytes();
        bytes.AsSpan(SubnetBytes).Clear();
        return new IPAddress(bytes);
    }
}
