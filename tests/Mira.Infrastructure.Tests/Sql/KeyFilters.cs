using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Filters to start from.</summary>
internal sealed class KeyFilters
{
    public KeyFilter All { get; } = new(null, null, null, null, new Viewpoint(KeyId.Generate(), Role.Admin, null), HeldKey.Start, null, 1_000);
}
