using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>Every link within the repository leads to a file that exists, and to a heading that exists in it.</summary>
internal sealed partial class LinkTests
{
    private const string ThisProject = "tests/Mira.Architecture.Tests/";

    private static readonly HashSet<string> Paths =
        [.. Repository.Files.Select(file => file.Path).SelectMany(path => Parents(path).Append(path))];

    private static readonly Dictionary<string, SourceFile> Documents =
        Repository.Files.Where(IsMarkdown).ToDictionary(file => file.Path);

    [Test]
    public void A_link_of_a_document_leads_somewhere() => Rule.Holds(
        file => LinksOf(file).Where(link => !Exists(link, file)).Select(link => $"{file.Path}: {link} leads nowhere"),
        [.. Repository.Files.Where(IsMarkdown)],
        planted:
        [
            Planted("[text](gone.md)"), Planted("[text](guide.md#gone)"), Planted("[text](#gone)\n## Here"),
            Planted("[text](../docs/gone.md)"), Planted("```sh\n```\n[text](gone.md)"),
        ],
        Planted("[text](guide.md#rotating)"), Planted("[text](#here-too)\n## Here, too"),
        Planted("[text](../README.md)"), Planted("[text](decisions)"), Planted("[text](https://example.com/gone.md)"),
        Planted("```md\n[text](gone.md)\n```"), Planted("`[text](gone.md)`"));

    [Test]
    public void A_document_that_a_file_names_exists() => Rule.Holds(
        file => Mention().Matches(file.Text).Select(match => match.Value)
            .Where(link => !Exists(link, file)).Select(link => $"{file.Path}: {link} does not exist"),
        [.. Repository.Files.Where(file =>
            !IsMarkdown(file) && !file.Path.StartsWith(ThisProject, StringComparison.Ordinal))],
        planted: [Source("// See docs/gone.md."), Source("runbook_url: docs/runbook.md#gone")],
        Source("// See docs/guide.md."), Source("runbook_url: docs/runbook.md#miradown"));

    private static bool IsMarkdown(SourceFile file) => file.Path.EndsWith(".md", StringComparison.Ordinal);

    /// <summary>Returns the targets of all links within the repository, from its root.</summary>
    private static IEnumerable<string> LinksOf(SourceFile file) =>
        from Match match in Link().Matches(WithoutCode(file.Text))
        let target = match.Groups["target"].Value
        where !target.Contains(':', StringComparison.Ordinal)
        select target.StartsWith('#') ? file.Path + target : FromRoot(file.Path, target);

    private static string FromRoot(string path, string target)
    {
        var parts = path.Split('/')[..^1].ToList();
        foreach (var part in target.TrimEnd('/').Split('/'))
        {
            if (part == ".." && parts.Count > 0)
                parts.RemoveAt(parts.Count - 1);
            else
                parts.Add(part);
        }

        return string.Join('/', parts);
    }

    /// <param name="origin">The file that holds the link. A link to a heading of its own is looked up in it.</param>
    private static bool Exists(string link, SourceFile origin)
    {
        if (link.Split('#') is not [var path, var heading])
            return Paths.Contains(link);

        var document = path == origin.Path ? origin : Documents.GetValueOrDefault(path);
        return document is not null && SlugsOf(document.Text).Contains(heading);
    }

    private static IEnumerable<string> Parents(string path)
    {
        for (var end = path.LastIndexOf('/'); end > 0; end = path.LastIndexOf('/', end - 1))
            yield return path[..end];
    }

    /// <summary>
    /// Returns the anchors of all headings, as Git hosts make them: small letters, a hyphen for each blank, no
    /// punctuation.
    /// </summary>
    private static HashSet<string> SlugsOf(string text) =>
    [
        .. Heading().Matches(FencedCode().Replace(text, ""))
            .Select(match => match.Groups["text"].Value.ToLowerInvariant())
            .Select(heading => Punctuation().Replace(heading, "").Replace(' ', '-')),
    ];

    private static string WithoutCode(string text) => CodeSpan().Replace(FencedCode().Replace(text, ""), "");

    private static SourceFile Planted(string text) => new("docs/planted.md", text);

    private static SourceFile Source(string text) => new("src/Planted.cs", text);

    [GeneratedRegex(@"\]\((?<target>[^()\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"\bdocs/[a-z][\w/-]*\.md(?:#[\w-]+)?")]
    private static partial Regex Mention();

    [GeneratedRegex(@"^#+ +(?<text>.+?) *$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Punctuation();

    [GeneratedRegex(@"^ *```.*?^ *```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex FencedCode();

    [GeneratedRegex("`[^`\n]*`")]
    private static partial Regex CodeSpan();
}
