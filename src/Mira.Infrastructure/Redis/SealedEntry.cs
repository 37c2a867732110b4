using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// How a key lies in Redis: the id of a pepper, a MAC made with it over key id, epoch, as-of and content, then as-of and content. Whoever
/// can write to Redis can take an entry away or put an old one back, and neither makes up one nor moves it to another key or epoch.
/// </summary>
public sealed class SealedEntry
{
    private const int PepperIdLength = 8;
    private const int MacStart = PepperIdLength;
    private const int AsOfStart = MacStart + MacKey.Size;
    private const int ContentStart = AsOfStart + sizeof(long);

    private readonly string _current;
    private readonly Dictionary<string, MacKey> _keys;

    public SealedEntry(PepperRing peppers)
    {
        _current = peppers.Current.Id;
        _keys = peppers.All.ToDictionary(pepper => pepper.Id, pepper => pepper.MacKey("key-cache"));
    }

    public byte[] Seal(KeyId id, ApiKey key, long asOf, string epoch) =>
        Seal(NameOf(id, epoch), asOf, JsonSerializer.SerializeToUtf8Bytes(KeyRecord.Of(key)));

    /// <summary>One under a pepper that is not listed is no entry; one whose MAC or form is wrong is a forged one.</summary>
    public SharedEntry Open(KeyId id, string epoch, byte[] entry)
    {
        if (Verifies(NameOf(id, epoch), entry) is not { } isGenuine)
            return default;
        if (!isGenuine)
            return new SharedEntry(null, IsForged: true);

        try
        {
            var record = JsonSerializer.Deserialize<KeyRecord>(entry.AsSpan(ContentStart))!;
            return new SharedEntry(new KeyEntry(id, record.ToKey(), AsOf(entry)), IsForged: false);
        }
        catch (Exception exception) when (exception is JsonException or FormatException)
        {
            // Made by a node, but not by this version of it.
            return default;
        }
    }

    /// <summary>A position of a ledger, in the same form.</summary>
    public byte[] SealPosition(string ledger, LedgerPosition position) => Seal(ledger, position.Seq, Encoding.ASCII.GetBytes(position.Hash));

    /// <summary>Null when no node that shares a pepper made it.</summary>
    public LedgerPosition? OpenPosition(string ledger, byte[] entry) =>
        Verifies(ledger, entry) == true ? new LedgerPosition(AsOf(entry), Encoding.ASCII.GetString(entry, ContentStart, entry.Length - ContentStart)) : null;

    private byte[] Seal(string name, long asOf, byte[] content)
    {
        var entry = new byte[ContentStart + content.Length];
        Encoding.ASCII.GetBytes(_current, entry);
        BinaryPrimitives.WriteInt64BigEndian(entry.AsSpan(AsOfStart), asOf);
        content.CopyTo(entry, ContentStart);
        _keys[_current].Sign(MessageOf(name, entry), entry.AsSpan(MacStart, MacKey.Size));
        return entry;
    }

    // Null when it is under a pepper that is not listed.
    private bool? Verifies(string name, byte[] entry)
    {
        if (entry.Length < ContentStart)
            return false;
        return _keys.TryGetValue(Encoding.ASCII.GetString(entry, 0, PepperIdLength), out var key)
            ? key.Verifies(MessageOf(name, entry), entry.AsSpan(MacStart, MacKey.Size))
            : null;
    }

    private static long AsOf(byte[] entry) => BinaryPrimitives.ReadInt64BigEndian(entry.AsSpan(AsOfStart));

    private static string NameOf(KeyId id, string epoch) => $"{id}\n{epoch}";

    private static byte[] MessageOf(string name, byte[] entry) => [.. Encoding.UTF8.GetBytes($"{name}\n"), .. entry.AsSpan(AsOfStart)];
}
