using MediatR;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Json;

namespace Mira.Web.Endpoints;

/// <summary>The life of keys: each call is its policy, one message and its answer.</summary>
[ApiController]
[Route("api/keys")]
[Tags("Keys")]
public sealed class KeysController(IMediator mediator) : ControllerBase
{
    /// <summary>Create a key</summary>
    /// <remarks>
    /// The token is in the answer and nowhere else, ever. Send an `Idempotency-Key` to be able to repeat the call
    /// safely.
    /// </remarks>
    [HttpPost(Name = "CreateKey")]
    [Authorize(Permission.KeysManage)]
    [ProducesResponseType<CreatedKey>(StatusCodes.Status201Created)]
    public async Task<IActionResult> Create([FromBody] CreateKey body, CancellationToken cancellationToken)
    {
        var receipt = await mediator.Send(body with { IdempotentRequest = RequestHeaders.Idempotency(HttpContext) }, cancellationToken);
        return Created(receipt, $"/api/keys/{receipt.Body.KeyId}");
    }

    /// <summary>List keys</summary>
    /// <remarks>Newest first. A viewer sees itself and the keys of its own owner.</remarks>
    /// <param name="role">Only keys of this role.</param>
    /// <param name="status">Only keys that are now revoked, expired, disabled, rotating or active.</param>
    /// <param name="owner">Only keys of exactly this owner.</param>
    /// <param name="q">Part of the name or owner in any case, or the start of a key id.</param>
    /// <param name="limit">Keys a page, 1 to 200, default 50.</param>
    /// <param name="cursor">The next_cursor of the page before.</param>
    [HttpGet(Name = "ListKeys")]
    [Authorize(Permission.KeysRead)]
    [ProducesResponseType<KeyPage>(StatusCodes.Status200OK)]
    public async Task<IActionResult> List(
        [FromQuery] string? role, [FromQuery] string? status, [FromQuery] string? owner, [FromQuery] string? q, [FromQuery] string? limit,
        [FromQuery] string? cursor, CancellationToken cancellationToken) =>
        Ok(await mediator.Send(
            new ListKeys(role, status, owner, q, limit, cursor, ApiKeyPrincipal.Of(HttpContext).Viewpoint), cancellationToken));

    /// <summary>Get a key</summary>
    [HttpGet("{key_id}", Name = "GetKey")]
    [Authorize(Permission.KeysRead)]
    [ProducesResponseType<KeyView>(StatusCodes.Status200OK)]
    public async Task<IActionResult> Get([FromRoute(Name = "key_id")] string keyId, CancellationToken cancellationToken) =>
        Versioned(await mediator.Send(new GetKey(keyId, ApiKeyPrincipal.Of(HttpContext).Viewpoint), cancellationToken));

    /// <summary>Change a key</summary>
    /// <remarks>
    /// What is absent stays, what is null is cleared. As `application/merge-patch+json` metadata is merged.
    /// </remarks>
    [HttpPatch("{key_id}", Name = "UpdateKey")]
    [Authorize(Permission.KeysManage)]
    [ProducesResponseType<KeyView>(StatusCodes.Status200OK)]
    public async Task<IActionResult> Update(
        [FromRoute(Name = "key_id")] string keyId, [FromBody] UpdateKey body, CancellationToken cancellationToken) =>
        Versioned(await mediator.Send(
            body with
            {
                KeyId = keyId,
                IfMatch = RequestHeaders.IfMatch(Request),
                MergesMetadata = Request.ContentType!.StartsWith(StrictJsonInputFormatter.MergePatch, StringComparison.OrdinalIgnoreCase),
            },
            cancellationToken));

    /// <summary>Rotate a key</summary>
    /// <remarks>
    /// Makes a new secret. The old one works until `previous_valid_until`; `grace_minutes` 0 ends every older one at
    /// once.
    /// </remarks>
    [HttpPost("{key_id}/rotate", Name = "RotateKey")]
    [Authorize(Permission.KeysManage)]
    [ProducesResponseType<RotatedKey>(StatusCodes.Status201Created)]
    public async Task<IActionResult> Rotate(
        [FromRoute(Name = "key_id")] string keyId, [FromBody(EmptyBodyBehavior = EmptyBodyBehavior.Allow)] RotateKey? body,
        CancellationToken cancellationToken)
    {
        var message = (body ?? new RotateKey()) with
        {
            KeyId = keyId,
            IfMatch = RequestHeaders.IfMatch(Request),
            IdempotentRequest = RequestHeaders.Idempotency(HttpContext),
        };
        return Created(await mediator.Send(message, cancellationToken), $"/api/keys/{keyId}");
    }

    /// <summary>Revoke a key</summary>
    /// <remarks>Ends it for good, on this node at once. Asked again, it gives the same answer.</remarks>
    /// <param name="reason">Why, at most 500 characters; shown with the key and in the audit trail.</param>
    [HttpDelete("{key_id}", Name = "RevokeKey")]
    [Authorize(Permission.KeysManage)]
    [ProducesResponseType<RevokedKey>(StatusCodes.Status200OK)]
    public async Task<IActionResult> Revoke(
        [FromRoute(Name = "key_id")] string keyId, [FromQuery] string? reason, CancellationToken cancellationToken) =>
        Ok(await mediator.Send(new RevokeKey(keyId, reason, RequestHeaders.IfMatch(Request)), cancellationToken));

    private OkObjectResult Versioned(KeyView view)
    {
        Response.Headers.ETag = RequestHeaders.ETag(view.Version);
        return Ok(view);
    }

    private CreatedResult Created<T>(IdempotentResult<T> receipt, string location)
        where T : IShowsTokenOnce<T>
    {
        Response.Headers.ETag = RequestHeaders.ETag(receipt.KeyVersion);
        if (receipt.Replayed)
            Response.Headers["Idempotency-Replayed"] = "true";
        return Created(location, receipt.Body);
    }
}
