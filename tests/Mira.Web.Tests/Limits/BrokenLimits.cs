using Mira.Application.Limits;
using Mira.Domain.Tokens;

namespace Mira.Web.Tests.Limits;

/// <summary>Shared windows that do not answer, or answer with an error, although they are there.</summary>
internal sealed class BrokenLimits : ISharedLimits
{
    public bool Throws { get; set; }

    public bool IsAvailable => true;

    public int NodesSeen => 1;

    public ValueTask<Grant?> TakeAsync(KeyId key, int limit, int needed, int wanted, TimeSpan life, Settlement settlement = default) =>
        Throws ? throw new InvalidOperationException("broken") : default;
}
