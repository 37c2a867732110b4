using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>What is to be done about a record that was found.</summary>
public enum RecordFinding
{
    /// <summary>It is as it should be, or is written again anyway.</summary>
    Right,

    /// <summary>A change of its key is on its way, and a person may have been at it: it is looked at again after the change.</summary>
    Moving,

    /// <summary>It was missing and is back. It is written again before its key is let in.</summary>
    Found,

    /// <summary>A node made it, and this ledger does not know its key.</summary>
    Unknown,

    /// <summary>It is of no key here, and no node made it.</summary>
    Forged,

    /// <summary>A person copied a record; the original is another one.</summary>
    Copy,

    /// <summary>Its key's creation was undone.</summary>
    Undone,

    /// <summary>A node wrote it, but it is not what is true now.</summary>
    Stale,

    /// <summary>It says that the key is revoked, which counts whoever wrote it: no revocation is ever taken back.</summary>
    Revoked,

    /// <summary>A person changed it otherwise, which does not.</summary>
    Edited,

    /// <summary>A person changed the record of a key that is over.</summary>
    EditedAfterwards,

    /// <summary>What a person did wrong is put right.</summary>
    Restored,
}

/// <summary>Compares a record with what this ledger settled. It decides nothing by clocks, and believes only what has a MAC for the record it lies in.</summary>
public sealed class AirtableJudgement(AirtableForm form, PepperRing peppers)
{
    public const string EditedReason = "row_edited";

    /// <param name="row">What was settled; null when nothing was.</param>
    /// <param name="key">As it is here; null when there is none.</param>
    /// <param name="isMoving">Is a change of the key on its way, or was its record written since this was asked for?</param>
    public RecordFinding Judge(AirtableRecord record, AirtableRow? row, ApiKey? key, bool isMoving)
    {
        var isOurs = form.IsOurs(record);
        if (isMoving)
            return isOurs && row is not { IsUndone: true } ? RecordFinding.Right : RecordFinding.Moving;
        if (row is { IsUndone: true })
            return RecordFinding.Undone;
        if (row is null || key is null)
            return isOurs ? RecordFinding.Unknown : RecordFinding.Forged;
        if (row.RecordId.Length > 0 && row.RecordId != record.Id)
            return RecordFinding.Copy;
        if (key.RevokedAt is null && AirtableForm.SaysRevoked(record))
            return RecordFinding.Revoked;
        if (row.IsDirty)
            return row.Finding == AirtableWatch.MissingReason ? RecordFinding.Found : RecordFinding.Right;

        var isEqual = AirtableForm.AreEqual(AirtableForm.FieldsOf(key), record.Fields);
        var mac = AirtableForm.MacOf(record);
        if (mac == row.Mac && (isOurs || isEqual))
            return isEqual && IsUnderCurrentPepper(mac) ? WhenRight(row, key) : RecordFinding.Stale;
        if (isOurs)
            return RecordFinding.Stale;
        if (key.RevokedAt is not null)
            return RecordFinding.EditedAfterwards;
        return row.Finding == EditedReason && key.IsWithheld ? RecordFinding.Right : RecordFinding.Edited;
    }

    private static RecordFinding WhenRight(AirtableRow row, ApiKey key) =>
        row.Finding is null && (!key.IsWithheld || key.RevokedAt is not null) ? RecordFinding.Right : RecordFinding.Restored;

    private bool IsUnderCurrentPepper(string? mac) => mac?.StartsWith(peppers.Current.Id, StringComparison.Ordinal) == true;
}
