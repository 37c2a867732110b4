using YamlDotNet.RepresentationModel;

namespace Mira.Operations.Tests.Pipelines;

/// <summary>A workflow of .github, as the rules of this folder look at it.</summary>
internal sealed class Workflow(string name, string text)
{
    private readonly YamlMappingNode _root = Read(text);

    public static IReadOnlyList<Workflow> All { get; } =
    [
        .. Directory.GetFiles(RepositoryFiles.At(".github", "workflows")).Order(StringComparer.Ordinal)
            .Select(path => new Workflow(Path.GetFileName(path), File.ReadAllText(path))),
    ];

    public string Name => name;

    public string Text => text;

    public YamlMappingNode? Permissions => Find(_root, "permissions") as YamlMappingNode;

    public IEnumerable<(string Name, YamlMappingNode Node)> Jobs =>
        ((YamlMappingNode)_root["jobs"]).Select(job => (((YamlScalarNode)job.Key).Value!, (YamlMappingNode)job.Value));

    public IEnumerable<YamlMappingNode> Steps =>
        Jobs.SelectMany(job => (YamlSequenceNode)job.Node["steps"]).Cast<YamlMappingNode>();

    public IEnumerable<string> Events =>
        ((YamlMappingNode)_root["on"]).Select(item => ((YamlScalarNode)item.Key).Value!);

    public static YamlNode? Find(YamlNode node, string name) =>
        node is YamlMappingNode map && map.Children.TryGetValue(name, out var value) ? value : null;

    public static string? TextOf(YamlNode node, string name) => (Find(node, name) as YamlScalarNode)?.Value;

    public override string ToString() => $"{Name}: {Text}";

    private static YamlMappingNode Read(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return (YamlMappingNode)stream.Documents.Single().RootNode;
    }
}
