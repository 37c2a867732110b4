using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// How a key lies in a record: fields that people read, and a MAC that tells what a node wrote from what a person did.
/// The MAC is made with a key from a pepper, over all fields but the last use, Airtable's own record id, and the fence
/// of the node that wrote.
/// </summary>
public sealed class RecordMapper(PepperRing peppers)
{
    private const string Purpose = "airtable-row";
    private const char Separator = '.';
    private const int MacParts = 3;

    /// <summary>In this order; the two that the MAC does not cover are left out.</summary>
    private static readonly string[] Covered = [.. TableSchema.Fields.Select(field => field.Name).Where(name => name is not (TableSchema.Mac or TableSchema.LastUsed))];

    private static readonly string[] Times = [TableSchema.CreatedAt, TableSchema.ExpiresAt, TableSchema.RevokedAt];

    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly Dictionary<string, MacKey> _keys = peppers.All.ToDictionary(pepper => pepper.Id, pepper => pepper.MacKey(Purpose));

    /// <summary>All fields but the MAC and the last use; what is empty is null, which clears a cell.</summary>
    public static JsonObject FieldsOf(ApiKey key) => new()
    {
        [TableSchema.KeyId] = key.Id.Value,
        [TableSchema.KeyHash] = JsonSerializer.Serialize(Hashes.Of(key), Readable),
        [TableSchema.Role] = key.Role.Name(),
        [TableSchema.Name] = key.Name,
        [TableSchema.Owner] = key.Owner,
        [TableSchema.Status] = StatusOf(key),
        [TableSchema.CreatedAt] = Rfc3339.Format(key.CreatedAt),
        [TableSchema.ExpiresAt] = Time(key.Current.ExpiresAt),
        [TableSchema.Permissions] = Lines(key.FreePermissions),
        [TableSchema.Metadata] = key.Metadata.Count == 0 ? null : JsonSerializer.Serialize(new SortedDictionary<string, string>(key.Metadata.ToDictionary(), StringComparer.Ordinal), Readable),
        [TableSchema.RateLimit] = key.RateLimitPerMinute,
        [TableSchema.AllowedIps] = Lines(key.AllowedIps.Select(range => range.ToString())),
        [TableSchema.RevokedAt] = Time(key.RevokedAt),
        [TableSchema.Version] = key.Version,
    };

    /// <summary><c>pepper id . fence . MAC</c>.</summary>
    public string Sign(JsonObject fields, string recordId, long fence)
    {
        Span<byte> mac = stackalloc byte[MacKey.Size];
        _keys[peppers.Current.Id].Sign(Message(fields, recordId, fence), mac);
        return string.Join(Separator, peppers.Current.Id, fence.ToString(CultureInfo.InvariantCulture), Convert.ToHexStringLower(mac));
    }

    /// <summary>Did a node write the record as it is?</summary>
    public bool IsOurs(AirtableRecord record)
    {
        if (MacOf(record)?.Split(Separator) is not { Length: MacParts } parts
            || !_keys.TryGetValue(parts[0], out var key)
            || !long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var fence)
            || parts[2].Length != MacKey.Size * 2)
        {
            return false;
        }

        try
        {
            return key.Verifies(Message(record.Fields, record.Id, fence), Convert.FromHexString(parts[2]));
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException or InvalidOperationException or OverflowException)
        {
            return false;
        }
    }

    public static string? MacOf(AirtableRecord record) => Text(record.Fields, TableSchema.Mac);

    public static KeyId? KeyIdOf(AirtableRecord record) => Domain.Tokens.KeyId.TryParse(Text(record.Fields, TableSchema.KeyId), out var id) ? id : null;

    /// <summary>What the record says, believed or not.</summary>
    public static DateTimeOffset? CreatedAtOf(AirtableRecord record) => TimeOf(record.Fields, TableSchema.CreatedAt);

    /// <summary>What a key's record is to say.</summary>
    public static string StatusOf(ApiKey key) => key switch
    {
        { RevokedAt: not null } => KeyStatus.Revoked.Name(),
        { IsDisabled: true } => KeyStatus.Disabled.Name(),
        _ => KeyStatus.Active.Name(),
    };

    /// <summary>What the record says; null when that is nothing, or no text.</summary>
    public static string? StatusIn(AirtableRecord record) => Text(record.Fields, TableSchema.Status);

    public static bool SaysRevoked(AirtableRecord record) => StatusIn(record) == KeyStatus.Revoked.Name();

    /// <summary>Is the content what it should be, whatever its MAC is?</summary>
    public static bool AreEqual(JsonObject left, JsonObject right) => Covered.All(name => JsonNode.DeepEquals(Normal(left, name), Normal(right, name)));

    /// <summary>
    /// Which fields a person changed, for the audit trail: what they hold, but of digests and MACs only that they are
    /// others.
    /// </summary>
    public static IReadOnlyList<FieldChange> Differences(JsonObject expected, JsonObject found) =>
    [
        .. from name in Covered
           let was = Normal(expected, name)
           let now = Normal(found, name)
           where !JsonNode.DeepEquals(was, now)
           select name == TableSchema.KeyHash ? new FieldChange(name, null, null) : new FieldChange(name, Shown(was), Shown(now)),
    ];

    /// <summary>The key a record of ours holds; the last use counts for its current secret.</summary>
    /// <exception cref="FormatException">A node has not written it.</exception>
    public static KeyRecord Read(AirtableRecord record)
    {
        try
        {
            var fields = record.Fields;
            var hashes = JsonSerializer.Deserialize<Hashes>(Text(fields, TableSchema.KeyHash)!, Readable)!;
            var newest = hashes.Secrets.Max(secret => secret.Version);
            return new KeyRecord
            {
                Id = Text(fields, TableSchema.KeyId)!,
                Name = Text(fields, TableSchema.Name)!,
                Role = Text(fields, TableSchema.Role)!,
                Owner = Text(fields, TableSchema.Owner),
                FreePermissions = SplitLines(fields, TableSchema.Permissions),
                Metadata = Text(fields, TableSchema.Metadata) is { } pairs ? JsonSerializer.Deserialize<Dictionary<string, string>>(pairs)! : Metadata.Empty,
                RateLimitPerMinute = (int?)fields[TableSchema.RateLimit],
                AllowedIps = SplitLines(fields, TableSchema.AllowedIps),
                LifetimeDays = hashes.LifetimeDays,
                IsDisabled = hashes.Disabled,
                IsQuarantined = false,
                CreatedAt = TimeOf(fields, TableSchema.CreatedAt)!.Value,
                CreatedBy = hashes.CreatedBy,
                RotatedAt = hashes.RotatedAt,
                RevokedAt = TimeOf(fields, TableSchema.RevokedAt),
                RevokedBy = hashes.RevokedBy,
                RevokedReason = hashes.RevokedReason,
                Version = (int)fields[TableSchema.Version]!,
                Secrets = [.. hashes.Secrets.Select(secret => secret.ToRecord(secret.Version == newest ? TimeOf(fields, TableSchema.LastUsed) : null))],
            };
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or NullReferenceException or ArgumentException or OverflowException)
        {
            throw new FormatException("The record holds no key.", exception);
        }
    }

    private static byte[] Message(JsonObject fields, string recordId, long fence)
    {
        var covered = new JsonObject { ["record"] = recordId, ["fence"] = fence };
        foreach (var name in Covered)
            covered[name] = Normal(fields, name);
        return Encoding.UTF8.GetBytes(CanonicalJson.Write(covered));
    }

    // A cell that is empty is no cell, and a time may come back with another number of digits.
    private static JsonNode? Normal(JsonObject fields, string name)
    {
        var value = fields[name];
        return value switch
        {
            null => null,
            JsonValue text when text.GetValueKind() == JsonValueKind.String && text.GetValue<string>().Length == 0 => null,
            JsonValue when Times.Contains(name) && TimeOf(fields, name) is { } time => Rfc3339.Format(time),
            // What is no whole number within reach of one stays as it is written, and is nothing a node would have
            // written.
            JsonValue number when number.GetValueKind() == JsonValueKind.Number && number.TryGetValue<decimal>(out var whole)
                && decimal.IsInteger(whole) && decimal.Abs(whole) <= int.MaxValue => (long)whole,
            _ => value.DeepClone(),
        };
    }

    private static string? Text(JsonObject fields, string name) =>
        fields[name] is JsonValue value && value.GetValueKind() == JsonValueKind.String && value.GetValue<string>() is { Length: > 0 } text ? text : null;

    private static DateTimeOffset? TimeOf(JsonObject fields, string name) =>
        Text(fields, name) is { } text && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time.ToUniversalTime() : null;

    private static string? Time(DateTimeOffset? time) => time is { } known ? Rfc3339.Format(known) : null;

    private static string? Lines(IEnumerable<string> items) => string.Join('\n', items) is { Length: > 0 } text ? text : null;

    private static string[] SplitLines(JsonObject fields, string name) => Text(fields, name)?.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    // People may have written anything, and the trail holds whole numbers and well-formed text only.
    private static JsonNode? Shown(JsonNode? value)
    {
        const int longest = 200;
        var text = value is JsonValue known && known.GetValueKind() == JsonValueKind.String ? known.GetValue<string>() : value?.ToJsonString();
        return text is null ? null : Label.MayHold(text) && text.Length <= longest ? text : $"({text.Length.ToString(CultureInfo.InvariantCulture)} characters)";
    }

    /// <summary>
    /// What people need not read: the secrets' digests with versions and deadlines, and what has no field of its own.
    /// </summary>
    private sealed record Hashes(
        int? LifetimeDays, bool Disabled, string CreatedBy, DateTimeOffset? RotatedAt, string? RevokedBy, string? RevokedReason, IReadOnlyList<HashedSecret> Secrets)
    {
        public static Hashes Of(ApiKey key) => new(
            key.LifetimeDays, key.IsDisabled, key.CreatedBy, key.RotatedAt, key.RevokedBy, key.RevokedReason,
            [.. key.Secrets.Select(secret => new HashedSecret(secret.Version, secret.PepperId, secret.Digest.ToArray(), secret.CreatedAt, secret.ExpiresAt, secret.ValidUntil))]);
    }

    private sealed record HashedSecret(
        int Version, [property: JsonPropertyName("pepper")] string PepperId, byte[] Digest, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, DateTimeOffset? ValidUntil)
    {
        public SecretRecord ToRecord(DateTimeOffset? lastUsedAt) => new()
        {
            Version = Version,
            PepperId = PepperId,
            Digest = Digest,
            CreatedAt = CreatedAt,
            ExpiresAt = ExpiresAt,
            ValidUntil = ValidUntil,
            LastUsedAt = lastUsedAt,
        };
    }
}
