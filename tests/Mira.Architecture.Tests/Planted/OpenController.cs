using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;

namespace Mira.Architecture.Tests.Planted;

/// <summary>Endpoints that say nothing about who may call them.</summary>
internal sealed class OpenController : ControllerBase
{
    [HttpGet("/open")]
    public IActionResult Open() => Ok();

    [Authorize]
    [HttpGet("/any")]
    public IActionResult WithoutPolicy() => Ok();

    [Route("/{**rest}")]
    public IActionResult Routed() => Ok();
}
