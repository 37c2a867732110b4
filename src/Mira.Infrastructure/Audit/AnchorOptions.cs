using Mira.Application.Settings;

namespace Mira.Infrastructure.Audit;

/// <summary>
/// <c>MIRA_AUDIT_ANCHOR</c>: where a copy of each checkpoint goes, out of reach of who can write the ledger.
/// </summary>
/// <param name="File">A file they are appended to.</param>
/// <param name="Address">An HTTPS address they are posted to.</param>
public sealed record AnchorOptions(string? File, Uri? Address)
{
    public const string Setting = "MIRA_AUDIT_ANCHOR";
    internal const string SettingPath = "Mira:AuditAnchor";

    /// <summary>How many checkpoints may wait; then the newest take the places of the oldest.</summary>
    public int MostWaiting { get; init; } = 1_000;

    public bool IsGiven => File is not null || Address is not null;

    /// <exception cref="SettingException">It is neither a file that can be appended to nor an HTTPS
    /// address.</exception>
    public static AnchorOptions Read(SettingReader settings)
    {
        var text = settings.Text(Setting, SettingPath);
        if (text is null)
            return new AnchorOptions(null, null);
        if (text.Contains("://", StringComparison.Ordinal))
            return new AnchorOptions(null, ReadAddress(text));

        try
        {
            var file = Path.GetFullPath(text);
            AnchorFile.Open(file).Dispose();
            return new AnchorOptions(file, null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new SettingException(Setting, "is a file that cannot be appended to", exception);
        }
    }

    // In clear only to this machine: who sits between could answer in its place.
    private static Uri ReadAddress(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address)
        && (address.Scheme == Uri.UriSchemeHttps || (address.Scheme == Uri.UriSchemeHttp && address.IsLoopback))
        && address.UserInfo.Length == 0
            ? address
            : throw new SettingException(Setting, "must be the path of a file, or an https address without a user (http to this machine only)");
}
