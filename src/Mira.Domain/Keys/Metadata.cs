namespace Mira.Domain.Keys;

/// <summary>
/// Free pairs of text that a key carries for its users. Never a place for secrets: every reader of the key sees them.
/// </summary>
public static class Metadata
{
    public const int MaximumEntries = 20;
    public const int MaximumKeyLength = 64;
    public const int MaximumValueLength = 512;

    public static IReadOnlyDictionary<string, string> Empty { get; } = new Dictionary<string, string>();

    /// <summary>The same pairs; when there are none, the one object that all keys without any share.</summary>
    public static IReadOnlyDictionary<string, string> Of(IReadOnlyDictionary<string, string> pairs) => pairs.Count == 0 ? Empty : pairs;

    public static bool IsKey(string key) => key.Length > 0 && IsText(key, MaximumKeyLength);

    public static bool IsValue(string? value) => value is not null && IsText(value, MaximumValueLength);

    public static bool AreEqual(IReadOnlyDictionary<string, string> left, IReadOnlyDictionary<string, string> right) =>
        left.Count == right.Count
        && left.All(pair => right.TryGetValue(pair.Key, out var value) && value == pair.Value);

    private static bool IsText(string text, int maximumLength) =>
        Label.IsPlain(text) && Label.CountScalars(text) <= maximumLength && !text.Any(char.IsControl);
}
