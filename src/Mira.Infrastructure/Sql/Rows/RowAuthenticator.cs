using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>What a look at a stored key brings.</summary>
internal enum RowState
{
    Right,

    /// <summary>It has no MAC yet and may have none: it was written before there were any.</summary>
    Unsealed,
    Forged,
    Replayed,
}

/// <summary>
/// Signs the rows of keys with a key made from the pepper, and says which are believed: those with a true MAC whose
/// last change is the newest that the ledger knows of the key. Who can write the database, and has no pepper, can
/// neither make up a row nor change one, nor put an older one back.
/// </summary>
/// <param name="findings">Is told of what is not believed; null for who only looks.</param>
public sealed class RowAuthenticator(PepperRing peppers, RowViolations? findings = null)
{
    private const string Purpose = "key-row";
    private const byte Form = 1;

    private readonly Dictionary<string, MacKey> _keys = peppers.All.ToDictionary(pepper => pepper.Id, pepper => pepper.MacKey(Purpose));

    private volatile bool _isStrict = true;

    /// <summary>
    /// May the row be signed anew: because it has no MAC yet and may have none, or one under a pepper that goes out of
    /// use?
    /// </summary>
    internal bool IsToBeSealed(KeyRow row) => Judge(row) switch
    {
        RowState.Unsealed => true,
        RowState.Right => row.MacPepperId != PepperId,
        RowState.Forged or RowState.Replayed => false,
    };

    /// <summary>The pepper that rows are signed with.</summary>
    public string PepperId => peppers.Current.Id;

    /// <summary>Must each row have a MAC? False only while those from before there were any are signed, once.</summary>
    public bool IsStrict
    {
        get => _isStrict;
        set => _isStrict = value;
    }

    /// <summary>The MAC of a key just made, for who writes rows by another way.</summary>
    /// <param name="seq">Of the event that tells of it.</param>
    public byte[] SignNew(ApiKey key, long seq) => Sign(new KeyRow
    {
        Key = key,
        CreatedSeq = seq,
        NameFolded = Label.Fold(key.Name),
        OwnerFolded = key.Owner is null ? null : Label.Fold(key.Owner),
        LapseAt = key.LapsesAt,
        RotationUntil = key.RotatingUntil,
        CurrentExpiresAt = key.Current.ExpiresAt,
        ChangedSeq = seq,
    });

    internal byte[] Sign(KeyRow row)
    {
        var mac = new byte[MacKey.Size];
        _keys[PepperId].Sign(MessageOf(row), mac);
        return mac;
    }

    internal RowState Judge(KeyRow row)
    {
        if (row.IsUnreadable)
            return RowState.Forged;
        if (row.Mac is not { } mac)
            return IsStrict || !row.IsToldOf ? RowState.Forged : RowState.Unsealed;
        if (row.MacPepperId is not { } pepper || !_keys.TryGetValue(pepper, out var key) || !key.Verifies(MessageOf(row), mac))
            return RowState.Forged;

        // What retention took out was not newer than what it left.
        return row.NewestSeq == row.ChangedSeq || (row.NewestSeq is null && row.ChangedSeq <= row.CutSeq) ? RowState.Right : RowState.Replayed;
    }

    /// <summary>Judges a row that was read, marks its key when it is not believed, and has that recorded.</summary>
    /// <returns>Whether it is believed.</returns>
    internal bool Examine(KeyRow row)
    {
        var state = Judge(row);
        if (state is RowState.Right or RowState.Unsealed)
            return true;

        row.Key.Doubt();
        findings?.Report(row.Key.Id, ReasonOf(state));
        return false;
    }

    /// <summary>Signs the row of a key that is followed, as it will be saved.</summary>
    /// <param name="changedSeq">The last event that changed it.</param>
    internal void Seal(MiraDbContext database, EntityEntry<ApiKey> entry, long changedSeq)
    {
        var key = entry.Entity;
        List<Secret> secrets =
        [
            .. database.ChangeTracker.Entries<Secret>()
                .Where(secret => secret.State != EntityState.Deleted && (KeyId)secret.Property(SecretColumns.KeyId).CurrentValue! == key.Id)
                .Select(secret => secret.Entity).OrderBy(secret => secret.Version),
        ];
        var row = new KeyRow
        {
            Key = key,
            Stored = secrets,
            CreatedSeq = (long)entry.Property(KeyColumns.CreatedSeq).CurrentValue!,
            NameFolded = Label.Fold(key.Name),
            OwnerFolded = key.Owner is null ? null : Label.Fold(key.Owner),
            LapseAt = key.LapsesAt,
            RotationUntil = key.RotatingUntil,
            CurrentExpiresAt = secrets[^1].ExpiresAt,
            ChangedSeq = changedSeq,
        };
        entry.Property(KeyColumns.NameFolded).CurrentValue = row.NameFolded;
        entry.Property(KeyColumns.OwnerFolded).CurrentValue = row.OwnerFolded;
        entry.Property(KeyColumns.LapseAt).CurrentValue = row.LapseAt;
        entry.Property(KeyColumns.RotationUntil).CurrentValue = row.RotationUntil;
        entry.Property(KeyColumns.CurrentExpiresAt).CurrentValue = row.CurrentExpiresAt;
        entry.Property(KeyColumns.ChangedSeq).CurrentValue = row.ChangedSeq;
        entry.Property(KeyColumns.MacPepperId).CurrentValue = PepperId;
        entry.Property(KeyColumns.Mac).CurrentValue = Sign(row);
    }

    internal static string ReasonOf(RowState state) => state == RowState.Replayed ? RowViolations.Replayed : RowViolations.Forged;

    // All that decides about a call or a list, each value with its length before it, so that no two rows have one
    // message. Use is left out: it is written beside the changes.
    private static ReadOnlySpan<byte> MessageOf(KeyRow row)
    {
        var key = row.Key;
        var message = new RowMessage();
        message.Add(Form);
        message.Add(key.Id.Value);
        message.Add(key.Name);
        message.Add((int)key.Role);
        message.Add(key.Owner);
        message.Add(key.FreePermissions);
        message.Add(key.Metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal).SelectMany(pair => new[] { pair.Key, pair.Value }).ToList());
        message.Add(key.RateLimitPerMinute);
        message.Add([.. key.AllowedIps.Select(range => range.ToString())]);
        message.Add(key.LifetimeDays);
        message.Add((key.IsDisabled ? 1 : 0) + (key.IsQuarantined ? 2 : 0));
        message.Add(key.CreatedAt);
        message.Add(key.CreatedBy);
        message.Add(key.RotatedAt);
        message.Add(key.RevokedAt);
        message.Add(key.RevokedBy);
        message.Add(key.RevokedReason);
        message.Add(key.Version);
        message.Add(row.Secrets.Count);
        foreach (var secret in row.Secrets)
        {
            message.Add(secret.Version);
            message.Add(secret.PepperId);
            message.Add(Convert.ToHexStringLower(secret.Digest.ToArray()));
            message.Add(secret.CreatedAt);
            message.Add(secret.ExpiresAt);
            message.Add(secret.ValidUntil);
        }

        message.Add(row.CreatedSeq);
        message.Add(row.NameFolded);
        message.Add(row.OwnerFolded);
        message.Add(row.LapseAt);
        message.Add(row.RotationUntil);
        message.Add(row.CurrentExpiresAt);
        message.Add(row.ChangedSeq);
        return message.Written;
    }

    private sealed class RowMessage
    {
        private readonly ArrayBufferWriter<byte> _bytes = new(1_024);

        public ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

        public void Add(long? value)
        {
            var span = _bytes.GetSpan(1 + sizeof(long));
            span[0] = value is null ? (byte)0 : (byte)1;
            BinaryPrimitives.WriteInt64BigEndian(span[1..], value ?? 0);
            _bytes.Advance(1 + sizeof(long));
        }

        // As it is stored: to the millisecond.
        public void Add(DateTimeOffset? time) => Add(time?.ToUnixTimeMilliseconds());

        public void Add(string? text)
        {
            Add(text is null ? null : (long)Encoding.UTF8.GetByteCount(text));
            if (text is not null)
                Encoding.UTF8.GetBytes(text, _bytes);
        }

        public void Add(IReadOnlyList<string> texts)
        {
            Add(texts.Count);
            foreach (var text in texts)
                Add(text);
        }
    }
}
