using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;
using Mira.Domain.Tokens;

namespace Mira.Architecture.Tests;

/// <summary>What lies in the repository at all, and what must never.</summary>
internal sealed partial class RepositoryTests
{
    private static readonly string[] TopLevel =
    [
        "src", "tests", "build", "docs", "Directory.Build.props", "Mira.sln", "docker-compose.yml", ".editorconfig", "README.md",
        "Directory.Packages.props", "global.json", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".gitignore", ".dockerignore",
        ".github", ".ci", ".git", ".config", ".devcontainer", ".gitattributes", ".git-blame-ignore-revs",
    ];

    // In parts, or this file would be its own violation.
    private static readonly Regex PackageHosts = new($@"(?i)\b(nu{""}get\.org|npm{""}js\.(com|org)|py{""}pi\.org|crates{""}\.io|ruby{""}gems\.org|proxy\.go{""}lang\.org)\b");

    [Test]
    public void The_top_level_holds_what_was_agreed() => Rule.Holds(
        name => TopLevel.Contains(name) ? [] : [$"{name} at the top level"],
        Repository.TopLevel,
        planted: ["notes.txt", "Makefile", "nuget.config"],
        "src");

    [Test]
    public void No_file_names_a_host_of_packages() => Rule.Holds(
        file => file.Report(file.Text, PackageHosts, "a host of packages"),
        Repository.Files,
        planted: [Planted($"see https://api.nu{""}get.org/v3/index.json"), Planted($"https://registry.npm{""}js.org/")],
        Planted("a NuGet package"));

    [Test]
    public void No_file_names_a_place_on_somebodys_machine() => Rule.Holds(
        file => file.Report(file.Text, HomeFolder(), "somebody's folder"),
        Repository.Files,
        planted: [Planted($"cd /ho{""}me/ada/mira"), Planted($"\"/Us{""}ers/ada/mira\""), Planted($@"C:\Us{""}ers\ada"), Planted($"/ro{""}ot/.nuget")],
        Planted("GET /users/ada"), Planted("https://example.com/home/page"));

    [Test]
    public void No_file_but_a_test_holds_a_token() => Rule.Holds(
        file => file.Path.StartsWith("tests/", StringComparison.Ordinal)
            ? []
            : KeyText().Matches(file.Text).Where(match => Token.TryParse(match.Value, out _)).Select(match => $"{file.Path}: the token of {match.Value[..KeyId.Length]}"),
        Repository.Files,
        planted: [Planted($"curl -H 'X-API-Key: {Token.Generate(KeyId.Generate()).Reveal()}'")],
        Planted($"key {KeyId.Generate().Value}"));

    [Test]
    public void No_file_holds_a_secret_of_another_kind() => Rule.Holds(
        file => file.Report(file.Text, OtherSecret(), "a secret"),
        Repository.Files,
        planted: [Planted($"-----BEGIN RSA PRI{""}VATE KEY-----"), Planted("pat" + new string('a', 14) + "." + new string('0', 64))]);

    private static SourceFile Planted(string text) => new("docs/planted.md", text);

    [GeneratedRegex(@"(?<![\w.])/(?:home/(?!app\b)|Users/|root/)[\w.]|\b[A-Z]:\\Users\\")]
    private static partial Regex HomeFolder();

    [GeneratedRegex("mira_key_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}")]
    private static partial Regex KeyText();

    [GeneratedRegex(@"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bpat[0-9A-Za-z]{14}\.[0-9a-f]{64}\b")]
    private static partial Regex OtherSecret();
}
