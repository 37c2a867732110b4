using System.Data.Common;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Reads rows of which some may hold what no value can be made of: text that is no role, JSON or address range, a
/// number out of range. Whoever can write the database can do that to one row, and it must not hold up the others.
/// </summary>
internal static class DamagedRows
{
    /// <summary>
    /// The keys with their proof, in their order. One that cannot be read stands in its place as a row that nobody
    /// believes.
    /// </summary>
    /// <param name="keys">Followed or not, as the rows are to be.</param>
    public static async Task<List<KeyRow>> ReadAsync(this IQueryable<ApiKey> keys, MiraDbContext database, CancellationToken cancellationToken)
    {
        try
        {
            return await keys.WithProof(database).ToListAsync(cancellationToken);
        }
        catch (Exception exception) when (IsDamage(exception))
        {
            // One by one, below, it is found which.
        }

        var places = await keys.Select(key => new Place(
            EF.Property<long>(key, KeyColumns.CreatedSeq), ((string)(object)key.Id).Substring(0, KeyId.Length + 1))).ToListAsync(cancellationToken);
        var found = new Dictionary<long, KeyRow>();
        await SplitAsync(
            [.. places.Select(place => place.Seq)],
            async part =>
            {
                var rows = await keys.Where(key => EF.Parameter(part).Contains(EF.Property<long>(key, KeyColumns.CreatedSeq))).WithProof(database)
                    .ToListAsync(cancellationToken);
                rows.ForEach(row => found[row.CreatedSeq] = row);
            });
        return [.. places.Select(place => found.GetValueOrDefault(place.Seq) ?? Unreadable(place))];
    }

    /// <summary>
    /// The events in their order. One that cannot be read is <see cref="LedgerEvent.Unreadable"/> in its place.
    /// </summary>
    /// <param name="read">Reads some of them.</param>
    public static async Task<List<LedgerEvent>> ReadAsync(
        this IQueryable<LedgerEvent> events, MiraDbContext database, Func<IQueryable<LedgerEvent>, Task<List<LedgerEvent>>> read, CancellationToken cancellationToken)
    {
        try
        {
            return await read(events);
        }
        catch (Exception exception) when (IsDamage(exception))
        {
            // As above.
        }

        var seqs = await events.Select(entry => entry.Seq).ToArrayAsync(cancellationToken);
        var found = new Dictionary<long, LedgerEvent>();
        await SplitAsync(
            seqs,
            async part =>
            {
                var some = await read(database.Events.AsNoTracking().Where(entry => EF.Parameter(part).Contains(entry.Seq)));
                some.ForEach(entry => found[entry.Seq] = entry);
            });
        return [.. seqs.Select(seq => found.GetValueOrDefault(seq) ?? LedgerEvent.Unreadable(seq))];
    }

    /// <summary>
    /// Reads all of them, and in halves what cannot be read, down to single ones; these are left out.
    /// </summary>
    public static async Task SplitAsync(long[] seqs, Func<long[], Task> read)
    {
        var waiting = new Stack<long[]>(seqs.Length > 0 ? [seqs] : []);
        while (waiting.TryPop(out var part))
        {
            try
            {
                await read(part);
            }
            catch (Exception exception) when (IsDamage(exception))
            {
                if (part.Length == 1)
                    continue;
                waiting.Push(part[..(part.Length / 2)]);
                waiting.Push(part[(part.Length / 2)..]);
            }
        }
    }

    /// <summary>Does it come from what is stored, and not from a store that is away?</summary>
    public static bool IsDamage(Exception exception) =>
        exception is FormatException or JsonException or OverflowException or InvalidCastException or ArgumentException or NullReferenceException
            or InvalidOperationException and not ObjectDisposedException
        && exception.InnerException is not (DbException or IOException or TimeoutException or OperationCanceledException);

    /// <summary>The row of a key that cannot be read.</summary>
    public static KeyRow Unreadable(KeyId id, long seq = 0) => new() { Key = ApiKey.Unreadable(id), CreatedSeq = seq, IsUnreadable = true };

    private static KeyRow Unreadable(Place place) => Unreadable(KeyId.TryParse(place.Id, out var id) ? id : default, place.Seq);

    /// <param name="Id">Long enough to tell it from a longer one.</param>
    private sealed record Place(long Seq, string Id);
}
