using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>
/// The folders of a project have an order: a file may name types of the folders before its own, and none of those
/// after.
/// </summary>
internal sealed partial class FolderTests
{
    /// <summary>From the bottom up. A file beside the folders may name all of them.</summary>
    private static readonly Dictionary<string, string[]> Order = new()
    {
        ["Mira.Domain"] = ["Tokens", "Ledger", "Keys"],
        ["Mira.Application"] = ["Settings", "Metrics", "Background", "Ledger", "Verification", "Limits", "Pipeline", "Keys", "Audit", "Admins"],
        ["Mira.Infrastructure"] = ["Files", "Redis", "Sql", "Audit", "Background", "Admins", "Airtable", "Start", "Copy", "Backup"],
        ["Mira.Web"] =
        [
            "Requests", "Lifetime", "Problems", "Json", "Authentication", "Logging", "Authorization", "Limits", "Calls", "Endpoints", "OpenApi", "Hosting",
            "Commands",
        ],
    };

    /// <summary>Files that name a folder after their own, and why.</summary>
    private static readonly (string File, string Folder, string Reason)[] Exceptions =
    [
        ("src/Mira.Application/Verification/KeyEntry.cs", "Limits", "A key's entry holds its window, so that a call finds both with one look-up."),
        ("src/Mira.Web/Calls/CallPipeline.cs", "OpenApi", "The pipeline names every step of a call, the page of the API among them."),
    ];

    [Test]
    public void A_folder_names_only_those_before_it() => Rule.Holds(
        Upward,
        Repository.CodeIn("src"),
        planted:
        [
            new SourceFile("src/Mira.Domain/Tokens/Planted.cs", "using Mira.Domain.Keys;\nnamespace Mira.Domain.Tokens;"),
            new SourceFile("src/Mira.Infrastructure/Sql/Ledger/Planted.cs", "namespace Mira.Infrastructure.Sql;\nclass Planted(Mira.Infrastructure.Airtable.Client client);"),
            new SourceFile("src/Mira.Infrastructure/Sql/Planted.cs", "using static Mira.Infrastructure.Copy.Planted;"),
            new SourceFile("src/Mira.Web/Nowhere/Planted.cs", "namespace Mira.Web.Nowhere;"),
        ],
        new SourceFile("src/Mira.Domain/Keys/Planted.cs", "using Mira.Domain.Ledger;\nusing Mira.Domain.Tokens;\nnamespace Mira.Domain.Keys;"),
        new SourceFile("src/Mira.Domain/Keys/Planted.cs", "// Mira.Domain.Nowhere\nnamespace Mira.Domain.Keys;"),
        new SourceFile("src/Mira.Infrastructure/Registration.cs", "using Mira.Infrastructure.Copy;"));

    [Test]
    public void Every_exception_is_needed() => Assert.That(
        Exceptions.Where(exception => !Named(Repository.Code.Single(file => file.Path == exception.File)).Contains(exception.Folder)), Is.Empty);

    [Test]
    public void Every_folder_in_the_order_exists() => Assert.That(
        Order.SelectMany(project => project.Value.Where(folder => Repository.CodeIn($"src/{project.Key}/{folder}").Count == 0).Select(folder => $"{project.Key}/{folder}")), Is.Empty);

    private static IEnumerable<string> Upward(SourceFile file)
    {
        var parts = file.Path.Split('/');
        if (parts.Length < 4 || !Order.TryGetValue(parts[1], out var order))
            return [];

        var own = Array.IndexOf(order, parts[2]);
        if (own < 0)
            return [$"{file.Path} is in a folder that has no place in the order"];

        return Named(file)
            .Where(folder => Array.IndexOf(order, folder) > own && !Exceptions.Any(exception => exception.File == file.Path && exception.Folder == folder))
            .Select(folder => $"{file.Path} names {folder}, which comes after {parts[2]}");
    }

    /// <summary>The folders of its own project that a file names.</summary>
    private static HashSet<string> Named(SourceFile file)
    {
        var project = file.Path.Split('/')[1];
        return FullName().Matches(file.Code).Where(match => match.Groups[1].Value == project).Select(match => match.Groups[2].Value).ToHashSet();
    }

    [GeneratedRegex(@"\b(Mira\.[A-Z]\w*)\.([A-Z]\w*)")]
    private static partial Regex FullName();
}
