using MediatR;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Mira.Application.Audit;
using Mira.Domain.Keys;

namespace Mira.Web.Controllers;

/// <summary>The audit trail.</summary>
[ApiController]
[Route("api/audit")]
[Tags("Audit")]
public sealed class AuditController(IMediator mediator) : ControllerBase
{
    /// <summary>List audit events</summary>
    /// <remarks>Newest first.</remarks>
    /// <param name="type">Only events of this type.</param>
    /// <param name="keyId">Only events that concern this key.</param>
    /// <param name="actor">Only what this key did.</param>
    /// <param name="from">Only events at or after this time, RFC 3339.</param>
    /// <param name="to">Only events before this time, RFC 3339.</param>
    /// <param name="limit">Events a page, 1 to 200, default 50.</param>
    /// <param name="cursor">The next_cursor of the page before.</param>
    [HttpGet(Name = "ListAuditEvents")]
    [Authorize(Permission.AuditRead)]
    [ProducesResponseType<AuditEventPage>(StatusCodes.Status200OK)]
    public async Task<IActionResult> List(
        [FromQuery] string? type, [FromQuery(Name = "key_id")] string? keyId, [FromQuery] string? actor, [FromQuery] string? from,
        [FromQuery] string? to, [FromQuery] string? limit, [FromQuery] string? cursor, CancellationToken cancellationToken) =>
        Ok(await mediator.Send(new ListAuditEvents(type, keyId, actor, from, to, limit, cursor), cancellationToken));
}
