using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Mira.Architecture.Tests.Sources;

/// <summary>What lies in the repository, as git would see it: without what .gitignore names.</summary>
internal static class Repository
{
    private static readonly string Root = RepositoryFiles.Root;

    /// <summary>Names of files and folders, wherever they are; patterns among them fit nothing.</summary>
    private static readonly string[] Ignored =
        [".git", .. File.ReadLines(Path.Combine(Root, ".gitignore")).Select(line => line.TrimEnd('/')).Select(line => line[(line.LastIndexOf('/') + 1)..])];

    /// <summary>The names at the top level.</summary>
    public static IReadOnlyList<string> TopLevel { get; } =
        [.. new DirectoryInfo(Root).EnumerateFileSystemInfos().Select(entry => entry.Name).Where(name => !Ignored.Contains(name))];

    /// <summary>Every text file.</summary>
    public static IReadOnlyList<SourceFile> Files { get; } = [.. FilesIn(new DirectoryInfo(Root)).Select(Read).OfType<SourceFile>()];

    /// <summary>Every C# file that a person writes.</summary>
    public static IReadOnlyList<SourceFile> Code { get; } = [.. Files.Where(file => file.Path.EndsWith(".cs", StringComparison.Ordinal) && !file.IsGenerated)];

    public static IReadOnlyList<SourceFile> CodeIn(string folder) => [.. Code.Where(file => file.Path.StartsWith(folder + "/", StringComparison.Ordinal))];

    public static IReadOnlyList<SourceFile> BuildFiles { get; } =
        [.. Files.Where(file => file.Path.EndsWith(".csproj", StringComparison.Ordinal) || file.Path.EndsWith(".props", StringComparison.Ordinal) || file.Path.EndsWith(".targets", StringComparison.Ordinal))];

    private static IEnumerable<FileInfo> FilesIn(DirectoryInfo folder) => folder.EnumerateFiles().Where(file => !Ignored.Contains(file.Name)).Concat(
        folder.EnumerateDirectories().Where(inner => !Ignored.Contains(inner.Name)).SelectMany(FilesIn));

    private static SourceFile? Read(FileInfo file)
    {
        var text = File.ReadAllText(file.FullName);
        return text.Contains('\0', StringComparison.Ordinal) ? null : new SourceFile(Path.GetRelativePath(Root, file.FullName), text);
    }
}

/// <summary>A file at its place, real or planted.</summary>
/// <param name="Path">From the repository's root, with slashes.</param>
internal sealed partial record SourceFile(string Path, string Text)
{
    private readonly Lazy<string> _code = new(() => Sources.Code.Of(Text));
    private readonly Lazy<string> _comments = new(() => Sources.Code.CommentsOf(Text));

    public bool IsGenerated => Path.Contains("/Migrations/", StringComparison.Ordinal);

    public string Name => Path[(Path.LastIndexOf('/') + 1)..];

    public string[] Lines => Text.TrimEnd('\n').Split('\n');

    /// <summary>Its C# without comments and literals.</summary>
    public string Code => _code.Value;

    public string Comments => _comments.Value;

    public XDocument Xml => XDocument.Parse(Text);

    public IEnumerable<string> TypeNames => TypeDeclaration().Matches(Code).Select(match => match.Groups[1].Value);

    /// <summary>What is wrong where: one line for each match.</summary>
    public IEnumerable<string> Report(string text, Regex pattern, string problem) =>
        pattern.Matches(text).Select(match => $"{Path}:{text.AsSpan(0, match.Index).Count('\n') + 1}: {problem}");

    public override string ToString() => $"{Path}: {Text}";

    [GeneratedRegex(@"\b(?:class|record|struct|interface|enum)\s+(?:class\s+|struct\s+)?([A-Z]\w*)")]
    private static partial Regex TypeDeclaration();
}
