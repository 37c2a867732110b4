using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>Sources use the words of docs/glossary.md in names of types, files and folders, and in comments.</summary>
internal sealed partial class SourceWordTests
{
    private const int Columns = 120;

    [Test]
    public void No_type_is_called_by_a_retired_word() => Rule.Holds(
        file => TypeName().Matches(file.Code).Select(match => match.Groups[1].Value)
            .Where(name => RetiredWords.Expression.IsMatch(WordsOf(name))).Select(name => $"{file.Path}: {name}"),
        [.. Repository.Code.Where(file => !file.Path.Contains("/Planted/", StringComparison.Ordinal))],
        planted: [Planted("internal sealed class KeyCourier;"), Planted("enum Fate { A }"), Planted("record struct HoleView(int A);")],
        Planted("class Whole;"), Planted("// class Courier\nclass Plain { string text = \"class Courier\"; }"));

    [Test]
    public void No_file_or_folder_is_called_by_a_retired_word() => Rule.Holds(
        path => RetiredWords.Expression.IsMatch(WordsOf(path.Replace('/', ' '))) ? [path] : [],
        [.. Repository.Code.Select(file => file.Path)],
        planted: ["src/Mira.Web/Verbs/Line.cs", "src/Mira.Infrastructure/Airtable/AirtableCourier.cs"],
        "src/Mira.Web/Commands/Line.cs");

    [Test]
    public void No_comment_uses_a_retired_word() => Rule.Holds(
        file => file.Report(NoProse().Replace(file.Comments, match => new string(' ', match.Length)), RetiredWords.Expression, "a retired word"),
        Repository.CodeIn("src"),
        planted: [Planted("// the courier carries it"), Planted("/// <summary>Changed by hand.</summary>")],
        Planted("// <c>courier</c>"), Planted("/// <see cref=\"Courier\"/>"), Planted("var courier = 1; // carries it"));

    [Test]
    public void No_line_of_a_comment_is_wider_than_a_screen() => Rule.Holds(
        file => file.Lines.Where(line => line.Length > Columns && line.TrimStart().StartsWith("//", StringComparison.Ordinal) && !line.Contains("://", StringComparison.Ordinal))
            .Select(line => $"{file.Path}: {line.Trim()}"),
        Repository.Code,
        planted: [Planted("// " + new string('a', Columns))],
        Planted("// " + new string('a', Columns - 3)), Planted("// https://" + new string('a', Columns)));

    /// <summary>The words of a name in Pascal case.</summary>
    private static string WordsOf(string name) => Boundary().Replace(name, " ").Replace('_', ' ');

    private static SourceFile Planted(string text) => new("src/Mira.Domain/Planted.cs", text);

    [GeneratedRegex(@"\b(?:class|record\s+struct|record|struct|interface|enum)\s+([A-Z]\w*)")]
    private static partial Regex TypeName();

    [GeneratedRegex("(?<=[a-z0-9])(?=[A-Z])")]
    private static partial Regex Boundary();

    [GeneratedRegex(@"cref=""[^""]*""|<c>[^<]*</c>|name=""[^""]*""|`[^`\n]*`")]
    private static partial Regex NoProse();
}
