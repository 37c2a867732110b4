using Microsoft.EntityFrameworkCore;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Background;

/// <summary>
/// How far a look through all records has come: first the records, in the order in which they were made, then the
/// events that tell of keys.
/// </summary>
internal sealed class RowScan
{
    /// <summary>The place of the last record that was looked at.</summary>
    public long After { get; set; } = long.MinValue;

    public bool HasReadAll { get; set; }

    /// <summary>The last event that was looked at.</summary>
    public long Seq { get; set; }

    /// <summary>Was there a record of which not even the id can be read?</summary>
    public bool HasNameless { get; set; }

    /// <summary>Records that were signed.</summary>
    public long Signed { get; set; }

    public void Begin() => (After, HasReadAll, HasNameless, Seq, Signed) = (long.MinValue, false, false, 0, 0);

    public static Task<List<KeyRow>> PageAsync(MiraDbContext database, long after, int count, CancellationToken cancellationToken) => database.Keys.AsNoTracking()
        .Where(key => EF.Property<long>(key, KeyColumns.CreatedSeq) > after).OrderBy(key => EF.Property<long>(key, KeyColumns.CreatedSeq)).Take(count)
        .ReadAsync(database, cancellationToken);
}
