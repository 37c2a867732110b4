using MediatR;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Mira.Application.Audit;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

using Mira.Web.Requests;
namespace Mira.Web.Endpoints;

/// <summary>The audit trail.</summary>
[ApiController]
[Route("api/audit")]
[Tags("Audit")]
public sealed class AuditController(IMediator mediator, AuditKey key) : ControllerBase
{
    internal const string Pem = "application/x-pem-file";

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

    /// <summary>Export the audit trail</summary>
    /// <remarks>
    /// Oldest first, a line each: events as they were hashed, and checkpoints as `{"checkpoint":{…}}`, which prove them
    /// to whoever has the public key. With `Accept: text/csv` a table for people, which proves nothing. Every export is
    /// itself an event.
    /// </remarks>
    /// <param name="from">From the first event at or after this time, RFC 3339.</param>
    /// <param name="to">To the last event before this time, RFC 3339.</param>
    [HttpGet("export", Name = "ExportAuditEvents")]
    [Authorize(Permission.AuditRead)]
    [Answers(AuditExportResult.Lines, AuditExportResult.Table)]
    public async Task<IActionResult> Export([FromQuery] string? from, [FromQuery] string? to, CancellationToken cancellationToken)
    {
        var format = AuditExportResult.FormatFor(Request);
        return new AuditExportResult(await mediator.Send(new ExportAuditEvents(from, to, format, format == AuditExportResult.Table), cancellationToken), format);
    }

    /// <summary>Get the key that proves the audit trail</summary>
    /// <remarks>The public part of the key that signs checkpoints, as PEM.</remarks>
    [HttpGet("public-key", Name = "GetAuditPublicKey")]
    [Authorize(Permission.AuditRead)]
    [Answers(Pem)]
    public IActionResult PublicKey() => Content(key.Public.ExportPem(), Pem);
}
