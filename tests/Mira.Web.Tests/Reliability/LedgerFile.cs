using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Data.Sqlite;

using Mira.Web.Tests.Hosts;
namespace Mira.Web.Tests.Reliability;

/// <summary>
/// The database of a service, read past it: that the ledger has no gap and its chain is whole, and that each key has as
/// many events as changes. It knows the form of the ledger only from the contract.
/// </summary>
internal sealed class LedgerFile(TestFolder folder)
{
    private const string NoHash = "0000000000000000000000000000000000000000000000000000000000000000";

    private (long Seq, string Hash) _checked = (0, NoHash);

    /// <summary>What of the ledger was found whole so far.</summary>
    public long CheckedTo => _checked.Seq;

    /// <summary>Checks what came since the last time, and every key it names.</summary>
    public IReadOnlyList<string> Check()
    {
        using var database = Open();
        var from = _checked.Seq;
        return [.. ChainProblems(database), .. KeyProblems(database, from), .. HeadProblems(database)];
    }

    /// <summary>Checks all of it.</summary>
    public IReadOnlyList<string> CheckFromTheStart()
    {
        _checked = (0, NoHash);
        return Check();
    }

    public long Count(string sql)
    {
        using var database = Open();
        using var command = Command(database, sql);
        return (long)command.ExecuteScalar()!;
    }

    private List<string> ChainProblems(SqliteConnection database)
    {
        var problems = new List<string>();
        using var command = Command(
            database, "SELECT seq, type, subject, body, previous_hash, hash FROM ledger WHERE seq >= $from ORDER BY seq", ("$from", Math.Max(_checked.Seq, 1)));
        using var rows = command.ExecuteReader();
        while (rows.Read())
        {
            var (seq, hash, body) = (rows.GetInt64(0), rows.GetString(5), rows.GetString(3));
            if (seq == _checked.Seq)
            {
                // Read again: what was there before the crash must still be there.
                if (hash != _checked.Hash)
                    problems.Add($"lost: event {seq} is another one now");
                continue;
            }

            var json = JsonNode.Parse(body)!.AsObject();
            if (seq != _checked.Seq + 1)
                problems.Add($"half done: after event {_checked.Seq} comes {seq}");
            if ((string?)json["prev_hash"] != _checked.Hash || rows.GetString(4) != _checked.Hash)
                problems.Add($"half done: event {seq} does not follow from the one before it");
            if (Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(body))) != hash)
                problems.Add($"half done: the hash of event {seq} is not that of its body");
            if ((long)json["seq"]! != seq || (string?)json["type"] != rows.GetString(1) || (string?)json["subject"] != (rows.IsDBNull(2) ? null : rows.GetString(2)))
                problems.Add($"half done: event {seq} stands under another name");
            _checked = (seq, hash);
        }

        return problems;
    }

    private static IEnumerable<string> KeyProblems(SqliteConnection database, long from)
    {
        // The plus keeps SQLite from looking through all creations for each key.
        using var command = Command(
            database,
            """
            SELECT named.subject, k.version, (SELECT count(*) FROM secrets WHERE key_id = k.id),
                (SELECT count(*) FROM ledger WHERE subject = named.subject AND type LIKE 'key.%') AS events,
                (SELECT seq FROM ledger WHERE subject = named.subject AND +type = 'key.created') = k.created_seq
            FROM (SELECT DISTINCT subject FROM ledger WHERE seq > $from AND type LIKE 'key.%') named LEFT JOIN keys k ON k.id = named.subject
            """,
            ("$from", from));
        using var rows = command.ExecuteReader();
        while (rows.Read())
        {
            var id = rows.GetString(0);
            if (rows.IsDBNull(1))
                yield return $"half done: {id} has events, but there is no such key";
            else if (rows.GetInt64(1) != rows.GetInt64(3))
                yield return $"half done: {id} has version {rows.GetInt64(1)} after {rows.GetInt64(3)} events";
            else if (rows.GetInt64(2) == 0 || rows.GetInt64(4) != 1)
                yield return $"half done: {id} has no secret, or another place in lists than in the ledger";
        }
    }

    private IEnumerable<string> HeadProblems(SqliteConnection database)
    {
        using var command = Command(
            database, "SELECT seq, hash, (SELECT count(*) FROM ledger), (SELECT count(*) FROM keys), (SELECT count(*) FROM ledger WHERE type = 'key.created') FROM ledger_head");
        using var row = command.ExecuteReader();
        row.Read();
        if (row.GetInt64(0) < _checked.Seq || (row.GetInt64(0) == _checked.Seq && row.GetString(1) != _checked.Hash))
            yield return "half done: the head is not the last event";
        if (row.GetInt64(0) != row.GetInt64(2))
            yield return $"half done: {row.GetInt64(2)} events end at {row.GetInt64(0)}";
        if (row.GetInt64(3) != row.GetInt64(4))
            yield return $"half done: {row.GetInt64(3)} keys come from {row.GetInt64(4)} creations";
    }

    private SqliteConnection Open()
    {
        var database = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = Path.Combine(folder.Data, "mira.db"),
            Mode = SqliteOpenMode.ReadOnly,
            Pooling = false,
        }.ToString());
        database.Open();
        return database;
    }

    private static SqliteCommand Command(SqliteConnection database, string sql, params (string Name, object Value)[] values)
    {
        var command = database.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in values)
            command.Parameters.AddWithValue(name, value);
        return command;
    }
}
