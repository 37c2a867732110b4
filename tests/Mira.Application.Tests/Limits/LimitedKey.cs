using Microsoft.Extensions.Time.Testing;
using Mira.Application.Limits;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Application.Tests.Limits;

/// <summary>A key with a limit, and what tests of limits say of it again and again.</summary>
internal static class LimitedKey
{
    public static HeldKey Of(int? limit, Role role = Role.Operator) =>
        new(new KeyTerms { Name = "billing", Role = role, LifetimeDays = 90, RateLimitPerMinute = limit });

    public static KeyEntry Entry(int? limit, Role role = Role.Operator) => Of(limit, role).At(1);

    /// <summary>The same key as it is read after its limit was changed.</summary>
    public static KeyEntry Changed(this HeldKey held, int? limit)
    {
        held.Key.Update(new KeyUpdate { RateLimitPerMinute = new Optional<int?>(limit) }, 1, HeldKey.Start);
        return held.At(2);
    }

    public static async Task<LimitState> ChargeAsync(this RateLimiter limiter, KeyEntry entry) => await limiter.ChargeAsync(entry, 1);

    /// <summary>Of so many calls, one after another.</summary>
    public static async Task<int> AdmittedAsync(this RateLimiter limiter, KeyEntry entry, int calls)
    {
        var admitted = 0;
        for (var call = 0; call < calls; call++)
            admitted += (await limiter.ChargeAsync(entry, 1)).IsAdmitted ? 1 : 0;
        return admitted;
    }

    public static FakeTimeProvider Clock() => new(HeldKey.Start);

    public static void PassSeconds(this FakeTimeProvider clock, double seconds) => clock.Advance(TimeSpan.FromSeconds(seconds));
}
