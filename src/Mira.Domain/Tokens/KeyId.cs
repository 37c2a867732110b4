using System.Diagnostics.CodeAnalysis;

namespace Mira.Domain.Tokens;

/// <summary>
/// The public half of a token and the name of its key for life: <c>mira_key_</c> and 12 base62 characters.
/// </summary>
public readonly record struct KeyId
{
    public const string Prefix = "mira_key_";
    public const int Length = 21;

    private KeyId(string value) => Value = value;

    public string Value { get; }

    public static KeyId Generate() => new(Prefix + Base62.Random(Length - Prefix.Length));

    public static bool TryParse([NotNullWhen(true)] string? text, out KeyId id)
    {
        var valid = text is { Length: Length } && StartsText(text);
        id = valid ? new KeyId(text!) : default;
        return valid;
    }

    public override string ToString() => Value;

    internal static bool StartsText(ReadOnlySpan<char> text) =>
        text.StartsWith(Prefix, StringComparison.Ordinal) && Base62.IsText(text[Prefix.Length..Length]);

    internal static KeyId Of(string token) => new(token[..Length]);
}
