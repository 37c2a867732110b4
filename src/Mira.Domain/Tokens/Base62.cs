using System.Buffers;
using System.Security.Cryptography;

namespace Mira.Domain.Tokens;

/// <summary>
/// The alphabet of tokens, <c>0-9A-Za-z</c>: a double click selects all of a token, and no shell or URL needs to quote
/// it.
/// </summary>
internal static class Base62
{
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    private static readonly SearchValues<char> Characters = SearchValues.Create(Alphabet);

    public static bool IsText(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(Characters);

    /// <summary>
    /// Unbiased characters from the operating system's generator; each is worth log2(62) = 5.954 bits.
    /// </summary>
    public static string Random(int length) => RandomNumberGenerator.GetString(Alphabet, length);

    /// <summary>
    /// Writes <paramref name="value"/> in base 62, left-padded with <c>0</c> to the length of
    /// <paramref name="destination"/>.
    /// </summary>
    public static void Write(uint value, Span<char> destination)
    {
        for (var i = destination.Length - 1; i >= 0; i--)
        {
            (value, var digit) = Math.DivRem(value, 62u);
            destination[i] = Alphabet[(int)digit];
        }
    }
}
