namespace Mira.Application.Settings;

/// <summary>A setting as the code reads it. docs/configuration.md lists all of them.</summary>
/// <param name="Name">The flat name.</param>
/// <param name="Path">The path below <c>Mira:</c>; null when the flat name says it.</param>
/// <param name="Form">What its value looks like.</param>
public sealed record Setting(string Name, string? Path, SettingForm Form)
{
    /// <summary>The value without the setting; null when there is none, or when it is not a constant.</summary>
    public object? Default { get; init; }

    /// <summary>The smallest number or duration that is accepted.</summary>
    public object? Minimum { get; init; }

    /// <summary>The largest number or duration that is accepted.</summary>
    public object? Maximum { get; init; }

    /// <summary>The words of a choice.</summary>
    public IReadOnlyCollection<string> Choices { get; init; } = [];
}

/// <summary>The forms of a setting's value.</summary>
public enum SettingForm
{
    Text,
    Number,
    Truth,
    Duration,
    Choice,
    List,
}
