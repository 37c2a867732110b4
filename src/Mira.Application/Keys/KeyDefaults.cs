using Mira.Application.Settings;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>What a request that does not say gets.</summary>
public sealed record KeyDefaults
{
    /// <summary><c>API_KEY_DEFAULT_EXPIRY_DAYS</c>, 1 to 3650.</summary>
    public int ExpiryDays { get; init; } = 90;

    /// <summary><c>API_KEY_ROTATION_GRACE_MINUTES</c>, 0 to 43200.</summary>
    public int GraceMinutes { get; init; } = 60;

    public static KeyDefaults Read(SettingReader settings)
    {
        var defaults = new KeyDefaults();
        return new KeyDefaults
        {
            ExpiryDays = settings.Number(
                "API_KEY_DEFAULT_EXPIRY_DAYS", "Mira:Keys:DefaultExpiryDays", defaults.ExpiryDays, 1, KeyTerms.MaximumLifetimeDays),
            GraceMinutes = settings.Number(
                "API_KEY_ROTATION_GRACE_MINUTES", "Mira:Keys:RotationGraceMinutes", defaults.GraceMinutes, 0, KeyTerms.MaximumGraceMinutes),
        };
    }
}
