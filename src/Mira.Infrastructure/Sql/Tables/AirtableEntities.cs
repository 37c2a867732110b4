using Microsoft.EntityFrameworkCore;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// What the ledger's database knows of Airtable: which record each key has, what is on its way there, and who may call
/// it.
/// </summary>
internal static class AirtableEntities
{
    public static void Configure(ModelBuilder model)
    {
        model.Entity<RecordState>(rows =>
        {
            rows.ToTable("airtable_rows").HasKey(row => row.KeyId);
            rows.HasIndex(row => row.RecordId);
            rows.HasIndex(row => row.Finding);
            rows.HasIndex(row => row.IsDirty);
        });
        model.Entity<AirtableIntent>(intents =>
        {
            intents.ToTable("airtable_intents").HasKey(intent => intent.KeyId);
            intents.HasIndex(intent => intent.Operation);
        });
        model.Entity<AirtableState>(states =>
        {
            states.ToTable("airtable_state").Property(state => state.Id).ValueGeneratedNever();
            states.HasData(new AirtableState());
        });
    }
}

/// <summary>A key's record in Airtable, as this ledger last resolved it.</summary>
public sealed class RecordState
{
    public required KeyId KeyId { get; init; }

    /// <summary>Airtable's own id. A record with another id is a copy, whatever it says.</summary>
    public required string RecordId { get; set; }

    /// <summary>
    /// The MAC of the one content that is right: a valid row with another one is an older one of ours.
    /// </summary>
    public required string Mac { get; set; }

    /// <summary>
    /// The ledger's seq from which on this holds: what was read of the record before says nothing about it.
    /// </summary>
    public long SettledSeq { get; set; }

    /// <summary>What is there is not what is true here, and is written again.</summary>
    public bool IsDirty { get; set; }

    /// <summary>How many complete reads of the table in a row did not find it.</summary>
    public int MissingSweeps { get; set; }

    /// <summary>What a person did wrong with it; null while all is well.</summary>
    public string? Finding { get; set; }

    /// <summary>The last use, as the record shows it.</summary>
    public DateTimeOffset? LastUsedAt { get; set; }

    /// <summary>
    /// The creation was cancelled: should the record turn up all the same, it is deleted and never believed.
    /// </summary>
    public bool IsUndone { get; set; }
}

/// <summary>
/// A change that was decided and not done yet, written before Airtable is called. While it stands here nobody else
/// changes the key, and whoever finds it after a crash knows what was meant.
/// </summary>
public sealed class AirtableIntent
{
    public required KeyId KeyId { get; init; }

    /// <summary>All keys of one change share it.</summary>
    public required Guid Operation { get; init; }

    public required IntentKind Kind { get; init; }

    public IntentState State { get; set; } = IntentState.Decided;

    /// <summary>The key as it is to be: a <see cref="KeyRecord"/> as JSON.</summary>
    public required string Record { get; init; }

    /// <summary>
    /// What the ledger is to hold of it: a list of drafts as JSON; those of the whole change stand with its first key.
    /// </summary>
    public required string Events { get; init; }

    /// <summary>Whose repeats are answered by it.</summary>
    public string? AnswerCaller { get; init; }

    public string? AnswerKey { get; init; }

    public string? AnswerFingerprint { get; init; }

    public string? Answer { get; init; }

    /// <summary>The node that answers its caller.</summary>
    public required string Owner { get; init; }

    /// <summary>
    /// By the database's clock: from then on its node is taken for gone, and the holder of the lease resolves it.
    /// </summary>
    public required DateTimeOffset Deadline { get; set; }

    /// <summary>What the holder of the lease has written for another node.</summary>
    public string? RecordId { get; set; }

    public string? Mac { get; set; }
}

/// <summary>What a change is resolved by, when nobody knows how far it came.</summary>
public enum IntentKind
{
    /// <summary>Cancelled: nobody got its token.</summary>
    Create,

    /// <summary>Cancelled: nobody got its token.</summary>
    Rotate,

    /// <summary>Takes what Airtable holds.</summary>
    Update,

    /// <summary>Completed: who revokes or disables a key wants it ended.</summary>
    End,
}

/// <summary>How far a change has come.</summary>
public enum IntentState
{
    /// <summary>Airtable may be called, or was and has not answered.</summary>
    Decided,

    /// <summary>The holder of the lease has it in Airtable; its node commits it.</summary>
    Written,

    /// <summary>It surely did not reach Airtable; its node takes it back.</summary>
    Refused,

    /// <summary>It may have reached Airtable; the holder of the lease resolves it.</summary>
    Unknown,
}

/// <summary>The one row that nodes share about Airtable.</summary>
public sealed class AirtableState
{
    public const int OnlyId = 1;

    public int Id { get; init; } = OnlyId;

    /// <summary>The node that may call Airtable, until then by the database's clock.</summary>
    public string? Holder { get; set; }

    public DateTimeOffset HeldUntil { get; set; } = DateTimeOffset.UnixEpoch;

    /// <summary>Counts holders; part of each row's MAC.</summary>
    public long Fence { get; set; }

    /// <summary>When the last poll that succeeded began, by the database's clock.</summary>
    public DateTimeOffset? PolledAt { get; set; }

    /// <summary>The same by Airtable's clock: the next poll asks for what was modified since shortly before.</summary>
    public DateTimeOffset? SeenUntil { get; set; }

    /// <summary>
    /// When the last complete read of the table began, by the database's clock; null before the first: what is there is
    /// not known yet.
    /// </summary>
    public DateTimeOffset? SweptAt { get; set; }

    /// <summary>
    /// How many rows were missing at once in the last full read, when that was too many to believe; else 0.
    /// </summary>
    public int Vanished { get; set; }
}
