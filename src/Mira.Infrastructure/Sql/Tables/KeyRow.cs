using System.Linq.Expressions;
using Microsoft.EntityFrameworkCore;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// A key as it is stored: with the columns that only the store knows, its MAC, and what the ledger says of it in the
/// same statement. <see cref="RowAuthenticator"/> says whether it is believed.
/// </summary>
internal sealed class KeyRow
{
    public required ApiKey Key { get; init; }

    /// <summary>
    /// Can it not be read at all? Then it holds no more than its id, as far as that can be read, and its place.
    /// </summary>
    public bool IsUnreadable { get; init; }

    /// <summary>Those that are stored, when they are not those that the key holds.</summary>
    public IReadOnlyList<Secret>? Stored { get; init; }

    public IReadOnlyList<Secret> Secrets => Stored ?? Key.Secrets;

    public long CreatedSeq { get; init; }

    public string NameFolded { get; init; } = "";

    public string? OwnerFolded { get; init; }

    public DateTimeOffset? LapseAt { get; init; }

    public DateTimeOffset? RotationUntil { get; init; }

    public DateTimeOffset? CurrentExpiresAt { get; init; }

    /// <summary>The last event that changed the key, as the row says.</summary>
    public long ChangedSeq { get; init; }

    /// <summary>The pepper that the MAC was made with.</summary>
    public string? MacPepperId { get; init; }

    public byte[]? Mac { get; init; }

    /// <summary>The last event that changed the key, as the ledger says; null when it holds none.</summary>
    public long? NewestSeq { get; init; }

    /// <summary>The last event that was pruned; null when none was.</summary>
    public long? CutSeq { get; init; }

    /// <summary>
    /// The event that a row which is believed is bound to: its own word, as long as it has none of its own what the
    /// ledger says.
    /// </summary>
    public long BoundSeq => NewestSeq ?? ChangedSeq;

    /// <summary>Does the ledger tell of it, or can it have?</summary>
    public bool IsToldOf => NewestSeq is not null || CutSeq is not null;
}

/// <summary>
/// An event of the ledger that changed a key: those for which <see cref="Domain.Ledger.LedgerEvent.ChangesKey"/> holds.
/// </summary>
internal sealed class KeyChange
{
    /// <summary>In the words of the index over them, so that the database takes it.</summary>
    public const string OfSqlite = Select + "instr(body, '\"count\":null') > 0))";

    /// <inheritdoc cref="OfSqlite"/>
    public const string OfPostgres = Select + "strpos(body, '\"count\":null') > 0))";

    private const string Select =
        "SELECT seq, subject FROM ledger WHERE ((type >= 'key.' AND type < 'key/') OR (type = 'integrity.violation' AND ";

    public long Seq { get; init; }

    public KeyId Subject { get; init; }
}

internal static class KeyRows
{
    /// <summary>
    /// Keys with all that tells whether they are believed; in one statement, so that row and ledger are of one moment.
    /// </summary>
    public static IQueryable<KeyRow> WithProof(this IQueryable<ApiKey> keys, MiraDbContext database) =>
        keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)).Select(Of(database));

    private static Expression<Func<ApiKey, KeyRow>> Of(MiraDbContext database) => key => new KeyRow
    {
        Key = key,
        CreatedSeq = EF.Property<long>(key, KeyColumns.CreatedSeq),
        NameFolded = EF.Property<string>(key, KeyColumns.NameFolded),
        OwnerFolded = EF.Property<string?>(key, KeyColumns.OwnerFolded),
        LapseAt = EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt),
        RotationUntil = EF.Property<DateTimeOffset?>(key, KeyColumns.RotationUntil),
        CurrentExpiresAt = EF.Property<DateTimeOffset?>(key, KeyColumns.CurrentExpiresAt),
        ChangedSeq = EF.Property<long>(key, KeyColumns.ChangedSeq),
        MacPepperId = EF.Property<string?>(key, KeyColumns.MacPepperId),
        Mac = EF.Property<byte[]?>(key, KeyColumns.Mac),
        NewestSeq = database.KeyChanges.Where(change => change.Subject == key.Id).Max(change => (long?)change.Seq),
        CutSeq = database.Begins.Max(begin => (long?)begin.Seq),
    };
}
