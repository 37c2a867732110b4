using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// How a key lies in Redis: the id of a pepper, a MAC made with it over key id, epoch, as-of and content, then as-of
/// (seq and half of the hash there) and content. Whoever can write to Redis can take an entry away or put an old one
/// back, and neither makes up one nor moves it to another key or epoch.
/// </summary>
public sealed class AuthenticatedEntry
{
    private const int PepperIdLength = 8;
    private const int MacStart = PepperIdLength;
    private const int AsOfStart = MacStart + MacKey.Size;
    private const int AsOfHashStart = AsOfStart + sizeof(long);
    private const int ContentStart = AsOfHashStart + (2 * sizeof(ulong));

    private readonly string _current;
    private readonly Dictionary<string, MacKey> _keys;

    public AuthenticatedEntry(PepperRing peppers)
    {
        _current = peppers.Current.Id;
        _keys = peppers.All.ToDictionary(pepper => pepper.Id, pepper => pepper.MacKey("key-cache"));
    }

    /// <param name="key">Of the entry.</param>
    public byte[] Seal(KeyEntry known, ApiKey key, string epoch)
    {
        var content = JsonSerializer.SerializeToUtf8Bytes(KeyRecord.Of(key));
        var entry = new byte[ContentStart + content.Length];
        Encoding.ASCII.GetBytes(_current, entry);
        BinaryPrimitives.WriteInt64BigEndian(entry.AsSpan(AsOfStart), known.AsOf);
        BinaryPrimitives.WriteUInt128BigEndian(entry.AsSpan(AsOfHashStart), known.AsOfHash);
        content.CopyTo(entry, ContentStart);
        _keys[_current].Sign(MessageOf(known.Id, epoch, entry), entry.AsSpan(MacStart, MacKey.Size));
        return entry;
    }

    /// <summary>
    /// One under a pepper that is not listed is no entry; one whose MAC or form is wrong is a forged one.
    /// </summary>
    public SharedEntry Open(KeyId id, string epoch, byte[] entry)
    {
        if (entry.Length < ContentStart)
            return new SharedEntry(null, IsForged: true);
        if (!_keys.TryGetValue(Encoding.ASCII.GetString(entry, 0, PepperIdLength), out var key))
            return default;
        if (!key.Verifies(MessageOf(id, epoch, entry), entry.AsSpan(MacStart, MacKey.Size)))
            return new SharedEntry(null, IsForged: true);

        try
        {
            var record = JsonSerializer.Deserialize<KeyRecord>(entry.AsSpan(ContentStart))!;
            var asOf = BinaryPrimitives.ReadInt64BigEndian(entry.AsSpan(AsOfStart));
            return new SharedEntry(new KeyEntry(id, record.ToKey(), asOf, BinaryPrimitives.ReadUInt128BigEndian(entry.AsSpan(AsOfHashStart))), IsForged: false);
        }
        catch (Exception exception) when (exception is JsonException or FormatException)
        {
            // Made by a node, but not by this version of it.
            return default;
        }
    }

    private static byte[] MessageOf(KeyId id, string epoch, byte[] entry) =>
        [.. Encoding.UTF8.GetBytes($"{id}\n{epoch}\n"), .. entry.AsSpan(AsOfStart)];
}
