using System.Text.Json;

namespace Mira.Domain.Ledger;

/// <summary>
/// Reads the canonical JSON of an event without making anything of it: the names of every object must be in ascending
/// order, as canonical JSON has them, so none can be there twice.
/// </summary>
internal static class EventBody
{
    private const int MaximumDepth = 64;

    /// <summary>Does the body say the same as the fields beside it?</summary>
    public static bool Agrees(ReadOnlySpan<byte> body, LedgerEvent entry) => TryScan(body, entry, out _);

    /// <summary>Reads its place in the ledger.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out EventPlace place) => TryScan(body, null, out place);

    /// <summary>The text at the end of this path of names; null when there is none, or something else.</summary>
    public static string? FindText(ReadOnlySpan<byte> body, params ReadOnlySpan<string> path)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            using var document = JsonDocument.ParseValue(ref reader);
            var found = document.RootElement;
            foreach (var name in path)
            {
                if (found.ValueKind != JsonValueKind.Object || !found.TryGetProperty(name, out found))
                    return null;
            }

            return found.ValueKind == JsonValueKind.String ? found.GetString() : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static bool TryScan(ReadOnlySpan<byte> body, LedgerEvent? expected, out EventPlace place)
    {
        place = default;
        try
        {
            return Scan(body, expected, ref place);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // No JSON, or text that is no UTF-8.
            return false;
        }
    }

    private static bool Scan(ReadOnlySpan<byte> body, LedgerEvent? expected, ref EventPlace place)
    {
        Span<Range> names = stackalloc Range[MaximumDepth + 1];
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaximumDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return false;

        var found = Fields.None;
        names[1] = default;
        var isActor = false;
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.StartObject)
                names[reader.CurrentDepth + 1] = default;
            if (reader.TokenType != JsonTokenType.PropertyName)
                continue;

            var depth = reader.CurrentDepth;
            var start = (int)reader.TokenStartIndex + 1;
            var name = new Range(start, start + reader.ValueSpan.Length);
            if (!Follows(body, names[depth], name))
                return false;
            names[depth] = name;
            if (depth == 1)
            {
                isActor = reader.ValueTextEquals("actor"u8);
                if (!ReadField(ref reader, expected, ref place, ref found))
                    return false;
            }
            else if (depth == 2 && isActor && reader.ValueTextEquals("key_id"u8))
            {
                reader.Read();
                if (!Says(ref reader, expected, expected?.ActorKeyId))
                    return false;
                found |= Fields.ActorKeyId;
            }
        }

        return reader.BytesConsumed == body.Length && found == Fields.All;
    }

    // Moves on to the value of those that are looked at.
    private static bool ReadField(ref Utf8JsonReader reader, LedgerEvent? expected, ref EventPlace place, ref Fields found)
    {
        if (reader.ValueTextEquals("seq"u8))
        {
            found |= Fields.Seq;
            return reader.Read() && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out place.Seq)
                   && (expected is null || place.Seq == expected.Seq);
        }

        if (reader.ValueTextEquals("prev_hash"u8))
        {
            found |= Fields.PreviousHash;
            if (!reader.Read() || !Says(ref reader, expected, expected?.PreviousHash))
                return false;
            place.PreviousHash = expected?.PreviousHash ?? reader.GetString();
            return place.PreviousHash is not null;
        }

        if (reader.ValueTextEquals("at"u8))
        {
            found |= Fields.At;
            return reader.Read() && Says(ref reader, expected, expected is null ? null : Rfc3339.Format(expected.At));
        }

        if (reader.ValueTextEquals("type"u8))
        {
            found |= Fields.Type;
            if (!reader.Read() || !Says(ref reader, expected, expected?.Type))
                return false;
            place.MayTellOfChain = reader.TokenType == JsonTokenType.String
                                   && (reader.ValueTextEquals(EventType.SystemStarted) || reader.ValueTextEquals(EventType.IntegrityViolation));
            return true;
        }

        if (reader.ValueTextEquals("subject"u8))
        {
            found |= Fields.Subject;
            return reader.Read() && Says(ref reader, expected, expected?.Subject);
        }

        return true;
    }

    private static bool Says(ref Utf8JsonReader reader, LedgerEvent? expected, string? text) =>
        expected is null
            ? reader.TokenType is JsonTokenType.String or JsonTokenType.Null
            : text is null ? reader.TokenType == JsonTokenType.Null : reader.TokenType == JsonTokenType.String && reader.ValueTextEquals(text);

    // By UTF-16 code units, which bytes of UTF-8 are in the order of as long as they are ASCII.
    private static bool Follows(ReadOnlySpan<byte> body, Range previous, Range name)
    {
        if (previous.Equals(default))
            return true;

        var one = body[previous];
        var other = body[name];
        return IsPlain(one) && IsPlain(other)
            ? one.SequenceCompareTo(other) < 0
            : string.CompareOrdinal(Unescape(body, previous), Unescape(body, name)) < 0;
    }

    private static bool IsPlain(ReadOnlySpan<byte> name) => System.Text.Ascii.IsValid(name) && !name.Contains((byte)'\\');

    private static string? Unescape(ReadOnlySpan<byte> body, Range name)
    {
        var reader = new Utf8JsonReader(body[(name.Start.Value - 1)..(name.End.Value + 1)]);
        reader.Read();
        return reader.GetString();
    }

    [Flags]
    private enum Fields
    {
        None = 0,
        Seq = 1,
        PreviousHash = 2,
        At = 4,
        Type = 8,
        Subject = 16,
        ActorKeyId = 32,
        All = 63,
    }
}

/// <summary>Where an event says it stands.</summary>
internal struct EventPlace
{
    public long Seq;
    public string? PreviousHash;

    /// <summary>Is it of a type that may tell of a new audit key, or of an end that nobody signed?</summary>
    public bool MayTellOfChain;
}
