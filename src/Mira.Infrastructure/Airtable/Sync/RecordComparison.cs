using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>What is to be done about a record that was found.</summary>
public enum RecordDifference
{
    /// <summary>It is as it should be, or is written again anyway.</summary>
    Right,

    /// <summary>
    /// A change of its key is on its way, and a person may have been at it: it is looked at again after the change.
    /// </summary>
    Moving,

    /// <summary>It was missing and is back. It is written again before its key is allowed.</summary>
    Found,

    /// <summary>A node made it, and this ledger does not know its key.</summary>
    Unknown,

    /// <summary>It is of no key here, and no node made it.</summary>
    Forged,

    /// <summary>A person copied a record; the original is another one.</summary>
    Copy,

    /// <summary>Its key's creation was cancelled.</summary>
    Undone,

    /// <summary>A node wrote it, but it is not what is true now.</summary>
    Stale,

    /// <summary>
    /// It says that the key is revoked, which counts whoever wrote it: no revocation is ever taken back.
    /// </summary>
    Revoked,

    /// <summary>A person changed it otherwise, which does not.</summary>
    Edited,

    /// <summary>A person changed the record of a key that is over.</summary>
    EditedAfterwards,

    /// <summary>What a person did wrong is repaired.</summary>
    Restored,
}

/// <summary>
/// Compares a record with what this ledger resolved. It decides nothing by clocks, and believes only what has a MAC for
/// the record it lies in.
/// </summary>
public sealed class RecordComparison(RecordMapper form, PepperRing peppers)
{
    public const string EditedReason = "row_edited";

    /// <param name="row">What was resolved; null when nothing was.</param>
    /// <param name="key">As it is here; null when there is none.</param>
    /// <param name="isMoving">Is a change of the key on its way, or was its record written since this was asked
    /// for?</param>
    public RecordDifference Judge(AirtableRecord record, RecordState? row, ApiKey? key, bool isMoving)
    {
        var isOurs = form.IsOurs(record);
        if (isMoving)
            return isOurs && row is not { IsUndone: true } ? RecordDifference.Right : RecordDifference.Moving;
        if (row is { IsUndone: true })
            return RecordDifference.Undone;
        if (row is null || key is null)
            return isOurs ? RecordDifference.Unknown : RecordDifference.Forged;
        if (row.RecordId.Length > 0 && row.RecordId != record.Id)
            return RecordDifference.Copy;
        if (key.RevokedAt is null && RecordMapper.SaysRevoked(record))
            return RecordDifference.Revoked;
        if (row.IsDirty)
            return row.Finding == TablePoller.MissingReason ? RecordDifference.Found : RecordDifference.Right;

        var isEqual = RecordMapper.AreEqual(RecordMapper.FieldsOf(key), record.Fields);
        var mac = RecordMapper.MacOf(record);
        if (mac == row.Mac && (isOurs || isEqual))
            return isEqual && IsUnderCurrentPepper(mac) ? WhenRight(row, key) : RecordDifference.Stale;
        if (isOurs)
            return RecordDifference.Stale;
        if (key.RevokedAt is not null)
            return RecordDifference.EditedAfterwards;
        return row.Finding == EditedReason && key.IsQuarantined ? RecordDifference.Right : RecordDifference.Edited;
    }

    private static RecordDifference WhenRight(RecordState row, ApiKey key) =>
        row.Finding is null && (!key.IsQuarantined || key.RevokedAt is not null) ? RecordDifference.Right : RecordDifference.Restored;

    private bool IsUnderCurrentPepper(string? mac) => mac?.StartsWith(peppers.Current.Id, StringComparison.Ordinal) == true;
}
