using System.Text.RegularExpressions;
using Mira.Domain.Tokens;

namespace Mira.Web.Requests;

/// <summary>
/// For addresses that are shown to others: a token, or its secret alone, that a caller put there is cut off, after its
/// key id if that is there.
/// </summary>
public static partial class TokenMask
{
    private const string Mark = "***";

    public static string Apply(string text) => Long().Replace(text, static match =>
        match.Value.StartsWith(KeyId.Prefix, StringComparison.Ordinal) ? $"{match.ValueSpan[..KeyId.Length]}_{Mark}" : Mark);

    // A key id has 21 characters, a secret 43. Nothing else in the addresses of the service comes near.
    [GeneratedRegex("[0-9A-Za-z_]{33,}", RegexOptions.CultureInvariant)]
    private static partial Regex Long();
}
