using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>
/// Documents use the words of docs/glossary.md. Each sentence has its own line, so that a change shows only the
/// sentences that it changes.
/// </summary>
internal sealed partial class DocumentWordTests
{
    /// <summary>The changelog tells what was, in the words of its time.</summary>
    private static readonly string[] Exceptions = [RetiredWords.Glossary, "CHANGELOG.md"];

    private static readonly IReadOnlyList<SourceFile> Documents =
        [.. Repository.Files.Where(file =>
            file.Path.EndsWith(".md", StringComparison.Ordinal) && !Exceptions.Contains(file.Path))];

    [Test]
    public void No_document_uses_a_retired_word() => Rule.Holds(
        file => file.Report(ProseOf(file.Text), RetiredWords.Expression, "a retired word of the glossary"),
        Documents,
        planted:
        [
            Planted("The courier carries it."), Planted("A change made by hand."),
            Planted("text\n\nVerbs of the binary"), Planted("| a | Mended |"),
        ],
        Planted("`MIRA_DRAIN_SECONDS`"), Planted("```sh\ncourier\n```"), Planted("[text](courier.md)"),
        Planted("A command of the binary."));

    [Test]
    public void A_line_of_a_document_holds_one_sentence() => Rule.Holds(
        file => file.Report(ProseOf(file.Text), SecondSentence(), "a second sentence in one line"),
        Documents,
        planted:
        [
            Planted("One. Two."), Planted("- One `two`. Three."), Planted("1. One. **Two.**"), Planted("One! (Two.)"),
        ],
        Planted("One.\nTwo."), Planted("1. One."), Planted("- One.\n  Two."), Planted("| One. Two. |"),
        Planted("# One. Two."), Planted("```\nOne. Two.\n```"), Planted("Version 0.1 and 2. of three"),
        Planted("**Words.** and more"));

    /// <summary>The text without code and link targets. Each line stays at its place.</summary>
    private static string ProseOf(string text) => NoProse().Replace(text, match =>
    {
        var lines = match.Value.Count(character => character == '\n');
        return lines == 0 ? "x" : new string('\n', lines);
    });

    private static SourceFile Planted(string text) => new("docs/planted.md", text);

    [GeneratedRegex(@"^ *```.*?^ *```|`[^`\n]*`|(?<=\])\([^()\s]+\)", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex NoProse();

    [GeneratedRegex(
        @"^(?!\s*[|#])(?> *(?:[-*] |\d+\. )?)[^\n]*?[\w)*""…][.!?]\*{0,2} +(?=[A-Z(\[""*x])", RegexOptions.Multiline)]
    private static partial Regex SecondSentence();
}
