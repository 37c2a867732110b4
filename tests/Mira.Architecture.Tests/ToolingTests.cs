using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Mira.Architecture.Tests.Sources;
using YamlDotNet.RepresentationModel;

namespace Mira.Architecture.Tests;

/// <summary>The files that tools read, which nothing compiles.</summary>
internal sealed partial class ToolingTests
{
    /// <summary>A local tool that has the version of a package.</summary>
    private static readonly Dictionary<string, string> VersionOf = new() { ["dotnet-ef"] = "Microsoft.EntityFrameworkCore.Design" };

    private static readonly Dictionary<string, string> Packages = XDocument.Parse(RepositoryFiles.Read("Directory.Packages.props"))
        .Descendants("PackageVersion").ToDictionary(item => (string)item.Attribute("Include")!, item => (string)item.Attribute("Version")!);

    [Test]
    public void A_tool_is_pinned_to_the_version_that_fits_the_packages() => Rule.Holds(
        WrongTool,
        Tools(RepositoryFiles.Read(".config", "dotnet-tools.json")),
        planted:
        [
            new Tool("dotnet-ef", "9.0.0", false), new Tool("dotnet-ef", Packages[VersionOf["dotnet-ef"]], true), new Tool("other", "1.*", false),
        ],
        new Tool("other", "1.2.3", false));

    [Test]
    public void A_file_of_JSON_is_one() => Rule.Holds(
        WrongJson,
        [.. Repository.Files.Where(file => file.Path.EndsWith(".json", StringComparison.Ordinal))],
        planted: [new SourceFile("planted.json", "{\"a\":1,}"), new SourceFile("planted.json", "{\"a\":1 // why\n}"), new SourceFile("planted.json", "{\"a\":1,\"a\":2}")],
        new SourceFile("planted.json", "{\"a\":[]}"));

    [Test]
    public void A_file_of_YAML_is_one() => Rule.Holds(
        WrongYaml,
        [.. Repository.Files.Where(file => file.Path.EndsWith(".yml", StringComparison.Ordinal) || file.Path.EndsWith(".yaml", StringComparison.Ordinal))],
        planted: [new SourceFile("planted.yml", "a: [1"), new SourceFile("planted.yml", "a: 1\n b: 2"), new SourceFile("planted.yml", "a: 1\na: 2")],
        new SourceFile("planted.yml", "a:\n  - b: 1\n"));

    [Test]
    public void Updates_are_looked_for_where_there_is_something_to_update()
    {
        var updates = Children(Yaml(RepositoryFiles.Read(".github", "dependabot.yml")), "updates").Cast<YamlMappingNode>()
            .Select(update => (Of: Text(update, "package-ecosystem"), In: Text(update, "directory").Trim('/'))).ToList();
        Assert.That(updates.Select(update => update.Of).Distinct(), Is.EquivalentTo(new[] { "nuget", "npm", "github-actions", "devcontainers" }));
        Assert.That(updates.Select(update => RepositoryFiles.At(update.In)), Is.All.Matches<string>(Path.Exists));
        Assert.That(
            updates.Where(update => update.Of == "npm").Select(update => $"{update.In}/package.json"),
            Is.EquivalentTo(Repository.Files.Select(file => file.Path).Where(path => path.EndsWith("/package.json", StringComparison.Ordinal))));
    }

    [Test]
    public void An_owned_path_is_in_the_repository() => Rule.Holds(
        path => Path.Exists(RepositoryFiles.At(path)) ? [] : [$"CODEOWNERS names {path}"],
        [.. OwnedPath().Matches(RepositoryFiles.Read(".github", "CODEOWNERS")).Select(match => match.Groups[1].Value)],
        planted: ["src/Mira.Planted/"]);

    [Test]
    public void A_development_container_installs_what_the_tests_need()
    {
        var container = JsonElement.Parse(RepositoryFiles.Read(".devcontainer", "devcontainer.json"));
        Assert.That(container.GetProperty("image").GetString(), Does.EndWith(":10.0"));
        Assert.That(container.GetProperty("postCreateCommand").GetString(), Does.Contain("$(build/test.sh --needs)").And.Contain("dotnet tool restore"));
    }

    [Test]
    public void A_commit_that_git_blame_skips_is_named_by_its_full_hash() => Rule.Holds(
        line => line.StartsWith('#') || FullHash().IsMatch(line) ? [] : [$".git-blame-ignore-revs: {line}"],
        File.ReadAllLines(RepositoryFiles.At(".git-blame-ignore-revs")),
        planted: ["ef033f7", "a word"],
        "# A comment", new string('a', 40));

    private static List<Tool> Tools(string manifest) =>
        [.. JsonElement.Parse(manifest).GetProperty("tools").EnumerateObject().Select(tool =>
            new Tool(tool.Name, tool.Value.GetProperty("version").GetString()!, tool.Value.GetProperty("rollForward").GetBoolean()))];

    private static IEnumerable<string> WrongTool(Tool tool)
    {
        if (tool.RollsForward || !ExactVersion().IsMatch(tool.Version))
            yield return $"{tool.Name} is not pinned";
        if (VersionOf.TryGetValue(tool.Name, out var package) && Packages[package] != tool.Version)
            yield return $"{tool.Name} is {tool.Version}, and {package} is {Packages[package]}";
    }

    private static IEnumerable<string> WrongJson(SourceFile file)
    {
        try
        {
            JsonDocument.Parse(file.Text, new JsonDocumentOptions { AllowDuplicateProperties = false }).Dispose();
            return [];
        }
        catch (JsonException problem)
        {
            return [$"{file.Path}: {problem.Message}"];
        }
    }

    private static IEnumerable<string> WrongYaml(SourceFile file)
    {
        try
        {
            Yaml(file.Text);
            return [];
        }
        catch (YamlDotNet.Core.YamlException problem)
        {
            return [$"{file.Path}: {problem.Message}"];
        }
    }

    private static YamlNode Yaml(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return stream.Documents.Single().RootNode;
    }

    private static IEnumerable<YamlNode> Children(YamlNode node, string name) => (YamlSequenceNode)node[name];

    private static string Text(YamlNode node, string name) => ((YamlScalarNode)node[name]).Value!;

    [GeneratedRegex(@"^/(\S+)", RegexOptions.Multiline)]
    private static partial Regex OwnedPath();

    [GeneratedRegex("^[0-9a-f]{40}$")]
    private static partial Regex FullHash();

    [GeneratedRegex(@"^\d+\.\d+\.\d+(-[\w.]+)?$")]
    private static partial Regex ExactVersion();

    private sealed record Tool(string Name, string Version, bool RollsForward);
}
