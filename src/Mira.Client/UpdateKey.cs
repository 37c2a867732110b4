using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Mira.Client;

/// <content>
/// What is null is not sent and stays as it is; what is named in <see cref="Clear"/> is sent as null.
/// </content>
public partial class UpdateKey
{
    /// <summary>Properties to clear, by their names in the API: <c>new UpdateKey { Clear = { "owner" } }</c>.</summary>
    [JsonIgnore]
    public ISet<string> Clear { get; } = new HashSet<string>(StringComparer.Ordinal);
}

/// <content>Sends only what is set.</content>
public partial class MiraClient
{
    static partial void UpdateJsonSerializerSettings(JsonSerializerOptions settings)
    {
        settings.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        settings.TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { SendCleared } };
    }

    private static void SendCleared(JsonTypeInfo type)
    {
        if (type.Type != typeof(UpdateKey))
            return;

        foreach (var property in type.Properties)
            property.ShouldSerialize = (update, value) => value is not null || ((UpdateKey)update).Clear.Contains(property.Name);
    }
}
