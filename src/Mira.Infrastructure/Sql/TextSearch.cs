using System.Text;
using System.Threading.Channels;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Domain.Keys;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Finds keys by a part of their name or owner, or the start of their id, in the trigram indexes: <c>pg_trgm</c> in
/// PostgreSQL, FTS5 in SQLite. A text that many keys hold is better looked for in the keys themselves, newest first: a
/// page of them is found soon.
/// </summary>
internal sealed partial class TextSearch(ILogger? log)
{
    /// <summary>More keys than that are not sorted.</summary>
    internal const int MostHits = 2_000;

    /// <summary>The indexes hold every three characters in a row, so they say nothing about fewer.</summary>
    private const int ShortestIndexed = 3;

    /// <summary>So many searches at once read the database, so that no number of them keeps it busy.</summary>
    private const int MostAtOnce = 2;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Channel<bool> _turns = Turns();
    private bool? _hasIndex;

    /// <summary>The turn ends when the answer is disposed.</summary>
    /// <exception cref="OverloadedException">Too many searches run.</exception>
    public async Task<IDisposable> TakeTurnAsync(CancellationToken cancellationToken)
    {
        if (_turns.Reader.TryRead(out _))
            return new Turn(_turns);

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            await _turns.Reader.ReadAsync(patience.Token);
            return new Turn(_turns);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new OverloadedException("Too many searches run.");
        }
    }

    /// <summary>
    /// The places in lists of all keys that match; null when they are to be looked for in the keys themselves.
    /// </summary>
    public async Task<long[]?> FindAsync(MiraDbContext database, string text, CancellationToken cancellationToken)
    {
        var folded = Label.Fold(text);
        if (folded.EnumerateRunes().Count() < ShortestIndexed || !(_hasIndex ??= await HasIndexAsync(database, cancellationToken)))
            return null;

        var hits = await (database.Database.IsNpgsql() ? Trigrams(database, text, folded) : FullText(database, text, folded)).ToArrayAsync(cancellationToken);
        return hits.Length > MostHits ? null : hits;
    }

    // Planned by itself: as a part of the list's own query the planner may go through all keys in their order, in the
    // hope of finding a page of them soon.
    internal static IQueryable<long> Trigrams(MiraDbContext database, string text, string folded)
    {
        var (part, start, limit) = ($"%{Escape(folded)}%", $"{Escape(text)}%", MostHits + 1);
        return database.Database.SqlQuery<long>(
            $"""
             WITH hits AS MATERIALIZED (
                 SELECT created_seq FROM keys WHERE name_folded LIKE {part} OR owner_folded LIKE {part} OR id LIKE {start})
             SELECT created_seq AS "Value" FROM hits LIMIT {limit}
             """);
    }

    internal static IQueryable<long> FullText(MiraDbContext database, string text, string folded)
    {
        var (phrase, end, limit) = ($"\"{folded.Replace("\"", "\"\"", StringComparison.Ordinal)}\"", text + "\U0010FFFF", MostHits + 1);
        return database.Database.SqlQuery<long>(
            $"""
             SELECT rowid AS "Value" FROM keys_search WHERE keys_search MATCH {phrase}
             UNION SELECT created_seq FROM keys WHERE id >= {text} AND id < {end} LIMIT {limit}
             """);
    }

    // Rebuilding the table drops the triggers that keep SQLite's index in step, and making an extension may have been
    // refused in PostgreSQL.
    private async Task<bool> HasIndexAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        var isThere = database.Database.IsNpgsql()
            ? await database.Database.SqlQuery<int>(
                $"SELECT count(*)::int AS \"Value\" FROM pg_indexes WHERE indexname IN ('IX_keys_name_trigram', 'IX_keys_owner_trigram')").SingleAsync(cancellationToken) == 2
            : await database.Database.SqlQuery<int>(
                $"SELECT count(*) AS \"Value\" FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'keys_search_%'").SingleAsync(cancellationToken) == 3;
        if (!isThere && log is not null)
            LogNoIndex(log);
        return isThere;
    }

    private static string Escape(string text) => new StringBuilder(text).Replace("\\", "\\\\").Replace("%", "\\%").Replace("_", "\\_").ToString();

    [LoggerMessage(Level = LogLevel.Warning, Message = "There is no trigram index of names and owners, so a search goes through all keys. With PostgreSQL somebody who may make extensions has to run CREATE EXTENSION pg_trgm")]
    private static partial void LogNoIndex(ILogger log);

    private static Channel<bool> Turns()
    {
        var turns = Channel.CreateBounded<bool>(MostAtOnce);
        while (turns.Writer.TryWrite(true))
            continue;
        return turns;
    }

    private sealed class Turn(Channel<bool> turns) : IDisposable
    {
        public void Dispose() => turns.Writer.TryWrite(true);
    }
}
