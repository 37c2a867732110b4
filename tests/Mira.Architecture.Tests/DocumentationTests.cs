using System.Reflection;
using System.Text.Json;
using System.Xml.Linq;
using Mira.Architecture.Tests.Compiled;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>What others see is explained, unless its name says all there is to say.</summary>
internal sealed class DocumentationTests
{
    /// <summary>
    /// The last words of types that are explained by the type they belong to, or by the message they carry.
    /// </summary>
    private static readonly string[] Companions = ["Handler", "Validator", "Exception"];

    /// <summary>
    /// Fields and parameters of the API whose names are their descriptions, or that the problem format (RFC 9457)
    /// describes.
    /// </summary>
    private static readonly HashSet<string> SelfExplaining =
    [
        "key_id", "name", "role", "owner", "metadata", "permissions", "allowed_ips", "created_at", "expires_at", "rotated_at", "revoked_at",
        "revoked_by", "revoked_reason", "last_used_at", "message", "valid", "rate_limit", "keys", "events", "at", "actor", "outcome", "reason",
        "correlation_id", "first_at", "last_at", "ip", "user_agent", "from", "to", "hits", "misses", "hit_rate", "memory", "redis", "airtable", "details",
        "type", "title", "status", "detail", "trace_id",
    ];

    [Test]
    public void A_public_type_of_the_domain_and_the_application_is_explained() => Rule.Holds(
        type => type.IsExplained || Companions.Any(type.Name.EndsWith) ? [] : [$"{type.Name} has no documentation"],
        [.. TypesOf(Assemblies.Domain), .. TypesOf(Assemblies.Application)],
        planted: [.. TypesOf(typeof(DocumentationTests).Assembly).Where(type => type.Name == nameof(Unexplained)), new Documented("KeyTerms", false)],
        new Documented("KeyTerms", true), new Documented("CreateKeyHandler", false));

    [Test]
    public void An_operation_of_the_API_has_a_summary() => Rule.Holds(
        operation => operation.IsExplained ? [] : [$"{operation.Name} has no summary"],
        [.. Operations(Api())],
        planted: [.. Operations("""{"paths":{"/planted":{"get":{"parameters":[]}}}}""")]);

    [Test]
    public void A_field_or_parameter_of_the_API_is_explained_or_needs_no_words() => Rule.Holds(
        field => field.IsExplained || SelfExplaining.Contains(field.Name[(field.Name.LastIndexOf(' ') + 1)..]) ? [] : [$"{field.Name} has no description"],
        [.. Fields(Api()), .. Parameters(Api())],
        planted:
        [
            .. Fields("""{"components":{"schemas":{"Planted":{"properties":{"grace":{"type":"string"},"grace_minutes":{"description":""}}}}}}"""),
            .. Parameters("""{"paths":{"/planted":{"get":{"summary":"Get","parameters":[{"name":"grace"}]}}}}"""),
        ],
        [.. Fields("""{"components":{"schemas":{"Planted":{"properties":{"grace":{"description":"Minutes."},"key_id":{}}}}}}""")]);

    private static string Api() => Repository.Files.Single(file => file.Path == "docs/openapi.json").Text;

    private static IEnumerable<Documented> Operations(string document) => Calls(document).Select(call => Documented.By(call.Name, call.Json, "summary"));

    private static IEnumerable<Documented> Parameters(string document) =>
        from call in Calls(document)
        where call.Json.TryGetProperty("parameters", out _)
        from parameter in call.Json.GetProperty("parameters").EnumerateArray()
        select Documented.By($"{call.Name} {parameter.GetProperty("name").GetString()}", parameter, "description");

    private static IEnumerable<Documented> Fields(string document) =>
        from schema in JsonElement.Parse(document).GetProperty("components").GetProperty("schemas").EnumerateObject()
        where schema.Value.TryGetProperty("properties", out _)
        from property in schema.Value.GetProperty("properties").EnumerateObject()
        select Documented.By($"{schema.Name} {property.Name}", property.Value, "description");

    private static IEnumerable<(string Name, JsonElement Json)> Calls(string document) =>
        from path in JsonElement.Parse(document).GetProperty("paths").EnumerateObject()
        from call in path.Value.EnumerateObject()
        select ($"{call.Name} {path.Name}", call.Value);

    // A record may say all there is to say of it with its parameters.
    private static IEnumerable<Documented> TypesOf(Assembly assembly)
    {
        var explained = XDocument.Load(Path.ChangeExtension(assembly.Location, ".xml"))
            .Descendants("member")
            .Where(member => member.Elements().Any(element => element.Name.LocalName is "summary" or "param"))
            .Select(member => member.Attribute("name")!.Value)
            .ToHashSet();
        return assembly.GetTypes()
            .Where(type => type.IsVisible || type.DeclaringType == typeof(DocumentationTests))
            .Select(type => new Documented(type.Name, explained.Contains($"T:{type.FullName!.Replace('+', '.')}")));
    }

    private sealed record Documented(string Name, bool IsExplained)
    {
        public static Documented By(string name, JsonElement json, string property) =>
            new(name, json.TryGetProperty(property, out var text) && !string.IsNullOrWhiteSpace(text.GetString()));
    }

    private sealed class Unexplained;
}
