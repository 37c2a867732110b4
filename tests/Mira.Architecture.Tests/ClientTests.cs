using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mira.Architecture.Tests.Compiled;

namespace Mira.Architecture.Tests;

/// <summary>The client has names as C# has them, and sends and reads the names of the API.</summary>
internal sealed class ClientTests
{
    [Test]
    public void A_property_is_named_in_PascalCase_and_keeps_the_name_of_the_API() => Rule.Holds(
        WrongNames,
        [.. Assemblies.Client.GetTypes().SelectMany(PropertiesOf)],
        planted: PropertiesOf(typeof(PlantedBody)),
        PropertiesOf(typeof(InnocentBody)));

    [Test]
    public void A_parameter_is_named_in_camelCase() => Rule.Holds(
        parameter => parameter.Name!.Contains('_', StringComparison.Ordinal) || char.IsUpper(parameter.Name[0]) ? [$"{parameter.Member.Name}: {parameter.Name}"] : [],
        [.. Assemblies.Client.GetTypes().Where(type => type.IsInterface).SelectMany(type => type.GetMethods()).SelectMany(method => method.GetParameters())],
        planted: typeof(PlantedBody).GetMethod(nameof(PlantedBody.Send))!.GetParameters());

    [Test]
    public void Every_property_of_the_API_has_one_of_the_client()
    {
        var schemas = JsonElement.Parse(RepositoryFiles.Read("docs", "openapi.json")).GetProperty("components").GetProperty("schemas").EnumerateObject()
            .Where(schema => schema.Value.TryGetProperty("properties", out _));
        foreach (var schema in schemas)
        {
            var type = Assemblies.Client.GetType($"Mira.Client.{schema.Name}")!;
            Assert.That(PropertiesOf(type).Select(NameOnTheWire), Is.EquivalentTo(schema.Value.GetProperty("properties").EnumerateObject().Select(property => property.Name)), schema.Name);
        }
    }

    private static PropertyInfo[] PropertiesOf(Type type) => [.. type.GetProperties().Where(property => NameOnTheWire(property) is not null)];

    private static string? NameOnTheWire(PropertyInfo property) => property.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name;

    private static IEnumerable<string> WrongNames(PropertyInfo property) =>
        property.Name.Contains('_', StringComparison.Ordinal) || JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name) != NameOnTheWire(property)
            ? [$"{property.DeclaringType!.Name}.{property.Name} is {NameOnTheWire(property)}"]
            : [];

    private sealed class PlantedBody
    {
        [JsonPropertyName("key_id")]
        public string? Key_id { get; set; }

        [JsonPropertyName("expires_at")]
        public string? EndsAt { get; set; }

        public static void Send(string if_Match, string Body) => Assert.Fail(if_Match + Body);
    }

    private sealed class InnocentBody
    {
        [JsonPropertyName("key_id")]
        public string? KeyId { get; set; }
    }
}
