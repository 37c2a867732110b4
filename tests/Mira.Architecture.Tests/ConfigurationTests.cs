using System.Globalization;
using System.Text.RegularExpressions;
using Mira.Application.Settings;
using Mira.Architecture.Tests.Compiled;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>
/// docs/configuration.md lists each setting with the default and the values that the code has. A person writes the
/// meaning. <c>build/mira.sh settings</c> lets the test write everything else into the page.
/// </summary>
internal sealed partial class ConfigurationTests
{
    private const string Nothing = "–";

    private static readonly string Place = RepositoryFiles.At("docs", "configuration.md");

    private static readonly IReadOnlyList<IGrouping<string, Setting>> Settings =
        [.. ReadSettings.All.GroupBy(setting => setting.Name == "urls" ? "ASPNETCORE_URLS" : setting.Name)];

    [Test]
    public void The_page_says_what_the_code_reads()
    {
        if (Environment.GetEnvironmentVariable("MIRA_WRITE_CONFIGURATION") == "true")
            File.WriteAllText(Place, string.Join('\n', Written(PageLines())) + "\n");

        var page = PageLines();
        Rule.Holds(
            lines => Written(lines).SequenceEqual(lines) ? [] : Differences(lines),
            [page],
            planted:
            [
                [.. page.Where(line => !line.Contains("`MIRA_STORE` |", StringComparison.Ordinal))],
                [.. page, "| `MIRA_PLANTED` | – | – | text | a setting that no code reads |"],
                [.. page, page.First(line => line.Contains("`MIRA_STORE` |", StringComparison.Ordinal))],
                [.. page.Select(line => line.Replace("| 90 |", "| 91 |", StringComparison.Ordinal))],
                [.. page.Select(line => line.Replace("| 1–3650 |", "| 1–3651 |", StringComparison.Ordinal))],
            ]);
    }

    [Test]
    public void Each_setting_of_the_page_has_a_meaning() => Rule.Holds(
        line => Row().Match(line).Groups["meaning"].Value.Trim().Length > 0 ? [] : [$"{line}: without a meaning"],
        [.. PageLines().Where(line => Row().IsMatch(line))],
        planted: ["| `MIRA_PLANTED` | – | – | text |  |"]);

    [Test]
    public void No_setting_is_read_past_the_list() => Rule.Holds(
        file => SettingName().Matches(file.Text).Select(match => match.Groups[1].Value)
            .Where(name => Settings.All(setting => setting.Key != name))
            .Select(name => $"{file.Path}: {name} is not in the list"),
        Repository.CodeIn("src"),
        planted:
        [
            new SourceFile("src/Planted.cs", "settings.Text(\"MIRA_PLANTED\")"),
            new SourceFile("src/Planted.cs", "settings.Text(\"Mira__Planted\")"),
        ],
        new SourceFile("src/Planted.cs", "settings.Text(\"MIRA_STORE\")"));

    private static string[] PageLines() => File.ReadAllText(Place).TrimEnd('\n').Split('\n');

    /// <summary>
    /// The page as it should be: other lines and the meanings stay, and a setting without a row gets one.
    /// </summary>
    private static List<string> Written(IReadOnlyCollection<string> lines)
    {
        var missing = Settings.ToDictionary(setting => setting.Key);
        var written = new List<string>();
        foreach (var line in lines)
        {
            var row = Row().Match(line);
            if (!row.Success)
                written.Add(line);
            else if (missing.Remove(row.Groups["name"].Value, out var setting))
                written.Add(RowOf(setting, row.Groups["default"].Value, row.Groups["meaning"].Value));
        }

        return [.. written, .. missing.Values.Select(setting => RowOf(setting, Nothing, ""))];
    }

    private static IEnumerable<string> Differences(IReadOnlyCollection<string> lines)
    {
        var right = Written(lines);
        return
        [
            .. lines.Except(right).Select(line => $"wrong: {line}"),
            .. right.Except(lines).Select(line => $"right: {line}"),
            "build/mira.sh settings corrects docs/configuration.md.",
        ];
    }

    private static string RowOf(IGrouping<string, Setting> setting, string writtenDefault, string meaning)
    {
        var first = setting.First();
        var path = first.Path is null ? Nothing : $"`{first.Path}`";
        // A default that is no constant is described by a person.
        var defaults = setting.Select(each => each.Default).OfType<object>().Select(Shown).ToList();
        var shown = defaults.Count > 0 ? string.Join(" or ", defaults) : writtenDefault;
        return $"| `{setting.Key}` | {path} | {shown} | {ValuesOf(first)} | {meaning} |";
    }

    private static string ValuesOf(Setting setting) => setting.Form switch
    {
        SettingForm.Number or SettingForm.Duration => $"{Shown(setting.Minimum!)}–{Shown(setting.Maximum!)}",
        SettingForm.Truth => "`true`, `false`",
        SettingForm.Choice => string.Join(", ", setting.Choices.Select(choice => $"`{choice}`")),
        SettingForm.List => "list",
        _ => "text",
    };

    private static string Shown(object value) => value switch
    {
        int number when number < 10_000 => number.ToString(CultureInfo.InvariantCulture),
        int number => number.ToString("#,0", CultureInfo.InvariantCulture).Replace(',', ' '),
        TimeSpan { Milliseconds: > 0 } span => $"`{span:hh\\:mm\\:ss\\.f}`",
        TimeSpan span => $"`{span:c}`",
        bool truth => truth ? "`true`" : "`false`",
        _ => $"`{value}`",
    };

    [GeneratedRegex(@"^\| `(?<name>\w+)` \| [^|]* \| (?<default>[^|]*) \| [^|]* \| (?<meaning>.*) \|$")]
    private static partial Regex Row();

    [GeneratedRegex(
        "\"((?:MIRA|API_KEY|RATE_LIMIT|REDIS|CORS|LOG|AIRTABLE|OTEL|ASPNETCORE|AUTOMAPPER)_[A-Z_]+|Mira__\\w+)\"")]
    private static partial Regex SettingName();
}
