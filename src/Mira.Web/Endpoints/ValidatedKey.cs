using Mira.Application.Limits;
using Mira.Domain.Keys;
using Mira.Web.Authentication;

namespace Mira.Web.Endpoints;

/// <summary>The key presented, which is valid.</summary>
/// <param name="ExpiresAt">When the secret presented expires; null for never.</param>
/// <param name="Status">active, or rotating.</param>
/// <param name="RateLimit">Null while limits are off.</param>
public sealed record ValidatedKey(
    bool Valid, string KeyId, string Name, string Role, IReadOnlyList<string> Permissions, DateTimeOffset? ExpiresAt, string Status, RateLimitView? RateLimit);

/// <summary>Where a key stands within its limit.</summary>
/// <param name="Limit">Calls a minute.</param>
/// <param name="Remaining">Calls left now.</param>
/// <param name="ResetAt">When the oldest counted call leaves the window.</param>
public sealed record RateLimitView(int Limit, int Remaining, DateTimeOffset ResetAt)
{
    internal static RateLimitView Of(LimitState state, DateTimeOffset now) => new(state.Limit, state.Remaining, now.AddSeconds(state.ResetSeconds));
}

/// <summary>Writes a <see cref="ValidatedKey"/>.</summary>
internal sealed class ValidatedAnswer(ApiKeyPrincipal caller, LimitState? state, DateTimeOffset now)
{
    private static readonly string[] Statuses = [.. KeyStatuses.All.Select(status => $",\"status\":\"{status.Name()}\"")];

    public Task WriteAsync(HttpContext context) => KeyJson.WriteAsync(
        context,
        before: "{\"valid\":true",
        caller.ValidatedHead ??= KeyJson.PropertiesOf(Described.Of(caller)),
        after: Statuses[(int)caller.Key.StatusAt(now)],
        state,
        now);

    /// <summary>What a <see cref="ValidatedKey"/> says of the key at any time.</summary>
    private sealed record Described(string KeyId, string Name, string Role, IReadOnlyList<string> Permissions, DateTimeOffset? ExpiresAt)
    {
        public static Described Of(ApiKeyPrincipal caller)
        {
            var key = caller.Key;
            return new Described(key.Id.Value, key.Name, key.Role.Name(), key.Permissions, caller.Secret.ExpiresAt);
        }
    }
}
