using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>The words that docs/glossary.md has retired.</summary>
internal static partial class RetiredWords
{
    public const string Glossary = "docs/glossary.md";

    /// <summary>
    /// Matches each word that is retired everywhere, also with an ending. The glossary puts the other words in
    /// parentheses.
    /// </summary>
    public static Regex Expression { get; } = Read();

    private static Regex Read()
    {
        var words =
            from line in Repository.Files.Single(file => file.Path == Glossary).Lines
            let cells = line.Split('|')
            where cells.Length == 5 && !cells[1].Contains("---", StringComparison.Ordinal) && cells[1].Trim() != "term"
            from word in Parentheses().Replace(cells[3], "").Split(',', StringSplitOptions.TrimEntries)
            where word.Length > 0
            select Regex.Escape(word);
        return new Regex($@"\b(?:{string.Join('|', words)})(?:s|ed|ing)?\b", RegexOptions.IgnoreCase);
    }

    [GeneratedRegex(@"\([^)]*\)")]
    private static partial Regex Parentheses();
}
