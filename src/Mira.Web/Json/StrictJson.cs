using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mira.Web.Problems;

namespace Mira.Web.Json;

/// <summary>Looks over a JSON text before it is read into a type, and says exactly what is wrong with it.</summary>
internal static class StrictJson
{
    public const int MaximumDepth = 16;

    private static readonly JsonReaderOptions ReaderOptions = new() { MaxDepth = MaximumDepth };

    /// <exception cref="ProblemException">It is no JSON, too deep, or has a property twice or one that <paramref name="type"/> does not know.</exception>
    public static void Demand(ReadOnlySpan<byte> json, JsonTypeInfo type)
    {
        var reader = new Utf8JsonReader(json, ReaderOptions);
        var names = new Stack<HashSet<string>>();
        try
        {
            while (reader.Read())
            {
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject:
                        names.Push(new HashSet<string>(StringComparer.Ordinal));
                        break;
                    case JsonTokenType.EndObject:
                        names.Pop();
                        break;
                    case JsonTokenType.PropertyName:
                        DemandName(reader.GetString()!, names, type);
                        break;
                    case JsonTokenType.String:
                        // Throws for text that is not well-formed Unicode.
                        _ = reader.GetString();
                        break;
                    default:
                        break;
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new ProblemException(new Problem(ProblemKind.MalformedJson, "The body is not well-formed JSON, or nested too deep."));
        }
    }

    private static void DemandName(string name, Stack<HashSet<string>> names, JsonTypeInfo type)
    {
        if (!names.Peek().Add(name))
            throw Refusal(ProblemKind.DuplicateProperty, name, "is there more than once");
        if (names.Count == 1 && type.Kind == JsonTypeInfoKind.Object && !type.Properties.Any(property => property.Name == name && property.Set is not null))
            throw Refusal(ProblemKind.UnknownProperty, name, "is not a property of this call");
    }

    private static ProblemException Refusal(ProblemKind kind, string name, string message) =>
        new(new Problem(kind, $"{name} {message}.", new Dictionary<string, string[]> { [name] = [message] }));
}
