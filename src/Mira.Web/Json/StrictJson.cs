using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mira.Web.Problems;

namespace Mira.Web.Json;

/// <summary>Reads a JSON text into a type, and says exactly what is wrong with one that it refuses.</summary>
internal static class StrictJson
{
    public const int MaximumDepth = 16;

    private static readonly JsonReaderOptions ReaderOptions = new() { MaxDepth = MaximumDepth };

    /// <summary>Looks the text over before it is read, because types may have parts that take any JSON.</summary>
    /// <exception cref="ProblemException">It is not the JSON that <paramref name="type"/> takes.</exception>
    public static object Read(ReadOnlySpan<byte> json, JsonTypeInfo type)
    {
        if (json.IsEmpty)
            throw Malformed("A body is needed.");

        Demand(json, type);
        try
        {
            return JsonSerializer.Deserialize(json, type) ?? throw Malformed("The body must be a JSON object.");
        }
        catch (JsonException exception)
        {
            var field = exception.Path?.TrimStart('$', '.');
            throw string.IsNullOrEmpty(field)
                ? Malformed("The body must be a JSON object.")
                : new ProblemException(new Problem(
                    ProblemKind.MalformedJson, $"The value of {field} has the wrong type.",
                    new Dictionary<string, string[]> { [field] = ["has the wrong type"] }));
        }
    }

    /// <summary>
    /// Reads the text in one go, and looks it over only to say what is wrong with it. For types whose every part is of
    /// a known type: of those the serializer itself refuses all that <see cref="Read"/> does.
    /// </summary>
    /// <exception cref="ProblemException">It is not the JSON that <paramref name="type"/> takes.</exception>
    public static T ReadAtOnce<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            if (JsonSerializer.Deserialize(json, type) is { } value)
                return value;
        }
        catch (JsonException)
        {
            // What is wrong with it is found out below.
        }

        return (T)Read(json, type);
    }

    private static void Demand(ReadOnlySpan<byte> json, JsonTypeInfo type)
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

    private static ProblemException Malformed(string detail) => new(new Problem(ProblemKind.MalformedJson, detail));
}
