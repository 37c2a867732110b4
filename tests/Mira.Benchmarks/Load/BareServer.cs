using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mira.Benchmarks.Load;

/// <summary>
/// What everything is compared with: one MVC action that answers a small JSON object, on the Kestrel settings of the
/// service, without anything around it.
/// </summary>
internal static class BareServer
{
    public static async Task RunAsync(string address)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        builder.WebHost.UseUrls(address);
        builder.Services.AddControllers().AddApplicationPart(typeof(BareController).Assembly);
        await using var app = builder.Build();
        app.MapControllers();
        await app.RunAsync();
    }
}

/// <summary>The bare action.</summary>
[ApiController]
public sealed class BareController : ControllerBase
{
    /// <summary>Answers the same each time.</summary>
    [HttpGet("api/auth/validate")]
    public IActionResult Get() => Ok(new BareAnswer(true, "mira_key_000000000000", "bench", "viewer", DateTimeOffset.UtcNow, "active"));
}

/// <summary>About as much as the service answers.</summary>
public sealed record BareAnswer(bool Valid, string KeyId, string Name, string Role, DateTimeOffset ExpiresAt, string Status);
