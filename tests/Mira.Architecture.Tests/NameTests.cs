using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>Names say what a thing is, and a type is found where its namespace says.</summary>
internal sealed partial class NameTests
{
    private static readonly string[] EmptyWords = ["Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Service", "Services", "Base", "Impl", "Dto", "Common"];

    private static readonly string[] EmptyFolders =
        ["Common", "Interfaces", "Helpers", "Extensions", "Services", "Managers", "Utils", "Shared", "Misc", "Core", "Dtos", "Models"];

    [Test]
    public void No_type_is_named_by_a_word_that_says_nothing() => Rule.Holds(
        file => file.TypeNames.Where(name => EmptyWords.Contains(Words().Matches(name)[^1].Value)).Select(name => $"{file.Path}: {name}"),
        Repository.Code,
        planted:
        [
            Source("public sealed class KeyManager;"), Source("internal static class StringHelper { }"), Source("record KeyDto(string Id);"),
            Source("public interface IKeyService { }"), Source("abstract class HandlerBase { }"), Source("readonly record struct Common;"),
            Source("class KeyStoreImpl<T> { }"),
        ],
        Source("// class KeyManager\nclass KeyServices2 { string text = \"class KeyHelper\"; }"), Source("class Database;"), Source("class ServiceLine;"));

    [Test]
    public void No_folder_is_named_by_a_word_that_says_nothing() => Rule.Holds(
        file => file.Path.Split('/').SkipLast(1).Intersect(EmptyFolders, StringComparer.OrdinalIgnoreCase).Select(folder => $"{file.Path}: {folder}"),
        [.. Repository.Files.Where(file => file.Path.StartsWith("src/", StringComparison.Ordinal) || file.Path.StartsWith("tests/", StringComparison.Ordinal))],
        planted: [new SourceFile("src/Mira.Web/Common/Planted.cs", ""), new SourceFile("tests/Mira.Web.Tests/Keys/helpers/Planted.cs", "")],
        new SourceFile("src/Mira.Web/Controllers/Services.cs", ""));

    [Test]
    public void A_namespace_is_the_project_and_the_first_folder() => Rule.Holds(
        WrongNamespaces,
        [.. Repository.CodeIn("src"), .. Repository.CodeIn("tests")],
        planted:
        [
            new SourceFile("src/Mira.Web/Keys/Planted.cs", "namespace Mira.Web;"),
            new SourceFile("src/Mira.Web/Planted.cs", "namespace Mira.Web.Keys;"),
            new SourceFile("src/Mira.Web/Keys/Deep/Planted.cs", "namespace Mira.Web.Keys.Deep;"),
            new SourceFile("src/Mira.Web/Keys/Planted.cs", "class NoNamespace;"),
            new SourceFile("src/Mira.Web/Keys/Planted.cs", "namespace Mira.Web.Keys { }"),
            new SourceFile("src/Mira.Web/Keys/Planted.cs", "namespace Mira.Web.Keys;\nnamespace Mira.Web.Other;"),
        ],
        new SourceFile("src/Mira.Web/Keys/Deep/Planted.cs", "using System;\n\nnamespace Mira.Web.Keys;\n"));

    private static SourceFile Source(string text) => new("src/Mira.Domain/Keys/Planted.cs", text);

    private static IEnumerable<string> WrongNamespaces(SourceFile file)
    {
        var found = string.Join(", ", Namespace().Matches(file.Code).Select(match => match.Groups[1].Value));
        string[] folders = [.. file.Path.Split('/').Skip(1).SkipLast(1).Take(2)];
        // The runtime finds both by their names alone.
        var isEntryPoint = file.Name is "Program.cs" or "StartupHook.cs" && found.Length == 0;
        return isEntryPoint || found == string.Join('.', folders) + ";" ? [] : [$"{file.Path} is in {found}"];
    }

    [GeneratedRegex("[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])|[A-Z]")]
    private static partial Regex Words();

    [GeneratedRegex(@"^\s*namespace\s+([\w.]+\s*[;{]?)", RegexOptions.Multiline)]
    private static partial Regex Namespace();
}
