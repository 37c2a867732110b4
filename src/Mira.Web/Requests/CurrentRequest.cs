
namespace Mira.Web.Requests;

/// <summary>
/// The request that code runs for, for what is not handed one: messages and log lines. The platform's accessor would be
/// set for every request; this one is set only where somebody may ask, which validations and their refusals are not.
/// </summary>
public sealed class CurrentRequest
{
    private readonly AsyncLocal<HttpContext?> _context = new();

    public HttpContext? Context => _context.Value;

    /// <summary>Holds for what runs from here on, until the method that calls it and is asynchronous returns.</summary>
    public void Enter(HttpContext context) => _context.Value = context;
}
