using System.Globalization;
using System.Text.Json.Nodes;
using Mira.Domain.Ledger;

namespace Mira.Application.Settings;

/// <summary>
/// Reads settings at start. Each has a flat name, which wins, or a path below <c>Mira:</c>, or both. A value that
/// cannot be right stops the start with a line that names the setting and never shows the value.
/// </summary>
/// <param name="find">The value under a configuration path; null or empty when there is none.</param>
/// <param name="note">Receives each setting that is read, with its default and its bounds.</param>
public sealed class SettingReader(Func<string, string?> find, Action<Setting>? note = null)
{
    /// <summary>Settings whose values are secrets or may hold one.</summary>
    private static readonly string[] SecretEnds = ["_KEY", "_TOKEN", "_PASSWORD", "PEPPER", "PEPPER_RETIRED", "_POSTGRES", "_STORAGE", "_ANCHOR", "_HEADERS"];

    private readonly SortedDictionary<string, string?> _read = new(StringComparer.Ordinal);

    /// <summary>
    /// Stands for everything that was read: the same settings give the same one on every node and at every start.
    /// SHA-256 in hex over their names and values; of a secret only whether it is given.
    /// </summary>
    public string Fingerprint()
    {
        lock (_read)
        {
            var pairs = _read.Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, pair.Value));
            return LedgerEvent.HashOf(CanonicalJson.Write(new JsonObject(pairs)));
        }
    }

    /// <summary>The same settings, but for one flat name.</summary>
    public SettingReader With(string name, string value) => new(path => path == name ? value : find(path), note);

    public string? Text(string name, string? path = null) => Find(new Setting(name, path, SettingForm.Text)).Value;

    public string Text(string name, string? path, string fallback) =>
        Find(new Setting(name, path, SettingForm.Text) { Default = fallback }).Value ?? fallback;

    /// <exception cref="SettingException">It is not a whole number in the range.</exception>
    public int Number(string name, string? path, int fallback, int minimum, int maximum) =>
        Number(new Setting(name, path, SettingForm.Number) { Default = fallback }, minimum, maximum) ?? fallback;

    /// <summary>A number that has no default.</summary>
    /// <exception cref="SettingException">It is not a whole number in the range.</exception>
    public int? Number(string name, string? path, int minimum, int maximum) =>
        Number(new Setting(name, path, SettingForm.Number), minimum, maximum);

    /// <exception cref="SettingException">It is neither true nor false.</exception>
    public bool Truth(string name, string? path, bool fallback)
    {
        var (value, source) = Find(new Setting(name, path, SettingForm.Truth) { Default = fallback });
        if (value is null)
            return fallback;

        return bool.TryParse(value, out var truth) ? truth : throw new SettingException(source, "must be true or false");
    }

    /// <exception cref="SettingException">It is not a time span in the range.</exception>
    public TimeSpan Duration(string name, TimeSpan fallback, TimeSpan minimum, TimeSpan maximum)
    {
        var (value, source) = Find(
            new Setting(name, null, SettingForm.Duration) { Default = fallback, Minimum = minimum, Maximum = maximum });
        if (value is null)
            return fallback;

        return TimeSpan.TryParseExact(value, ["c", "g"], CultureInfo.InvariantCulture, out var duration) && duration >= minimum && duration <= maximum
            ? duration
            : throw new SettingException(source, $"must be a time span like 00:00:30, from {minimum:c} to {maximum:c}");
    }

    /// <summary>One of a few words, in any case.</summary>
    /// <exception cref="SettingException">It is another word.</exception>
    public string Choice(string name, string? path, string fallback, params IReadOnlyCollection<string> choices)
    {
        var (value, source) = Find(new Setting(name, path, SettingForm.Choice) { Default = fallback, Choices = choices });
        if (value is null)
            return fallback;

        return choices.FirstOrDefault(choice => choice.Equals(value, StringComparison.OrdinalIgnoreCase))
               ?? throw new SettingException(source, $"must be one of {string.Join(", ", choices)}");
    }

    /// <summary>A comma-separated list, without blanks around its items.</summary>
    public IReadOnlyList<string> List(string name, string? path = null) =>
        Find(new Setting(name, path, SettingForm.List)).Value?
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    private int? Number(Setting setting, int minimum, int maximum)
    {
        var (value, source) = Find(setting with { Minimum = minimum, Maximum = maximum });
        if (value is null)
            return null;

        return int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
               && number >= minimum && number <= maximum
            ? number
            : throw new SettingException(source, $"must be a whole number from {minimum} to {maximum}");
    }

    private (string? Value, string Source) Find(Setting setting)
    {
        note?.Invoke(setting);
        var name = setting.Name;
        var (value, source) = Look(name, setting.Path);
        lock (_read)
            _read[name] = value is not null && SecretEnds.Any(end => name.EndsWith(end, StringComparison.Ordinal)) ? "given" : value;
        return (value, source);
    }

    private (string? Value, string Source) Look(string name, string? path)
    {
        var flat = find(name.Replace("__", ":", StringComparison.Ordinal));
        if (!string.IsNullOrEmpty(flat))
            return (flat, name);

        var nested = path is null ? null : find(path);
        return (string.IsNullOrEmpty(nested) ? null : nested, path ?? name);
    }
}

/// <summary>Mira does not start: a setting cannot be right, or what it names is not usable.</summary>
/// <param name="setting">Its name.</param>
/// <param name="problem">What is wrong, without its value when that may be a secret.</param>
public sealed class SettingException(string setting, string problem, Exception? inner = null) : Exception($"{setting}: {problem}", inner);
