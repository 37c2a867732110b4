using Microsoft.Data.Sqlite;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Benchmarks;

/// <summary>Writes many keys into the embedded database.</summary>
internal static class SqliteKeys
{
    private const string Event =
        "INSERT INTO ledger (seq, at, type, actor_key_id, subject, body, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

    private const string Secret =
        "INSERT INTO secrets (key_id, version, pepper_id, digest, created_at, expires_at) VALUES ($1, 1, $2, $3, $4, $5)";

    private const string Key =
        """
        INSERT INTO keys (id, name, name_folded, role, owner, owner_folded, free_permissions, metadata, allowed_ips, lifetime_days, is_disabled,
            created_at, created_by, version, created_seq, lapse_at, current_expires_at, changed_seq, mac_pepper_id, mac)
        VALUES ($1, $2, $3, $4, $5, $6, '[]', '{}', '[]', 90, 0, $7, 'system', 1, $8, $9, $9, $8, $10, $11)
        """;

    /// <param name="database">The file.</param>
    /// <returns>Their tokens.</returns>
    /// <param name="auditKey">The key that signs its ledger, as it stands in the data folder.</param>
    public static IReadOnlyList<string> Write(string database, string pepper, string auditKey, int count)
    {
        var tokens = new List<string>();
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = database, Pooling = false }.ToString());
        connection.Open();
        using var transaction = connection.BeginTransaction();
        using var keys = Prepare(connection, Key, 11);
        using var secrets = Prepare(connection, Secret, 5);
        using var events = Prepare(connection, Event, 8);
        var head = ReadHead(connection);
        foreach (var made in ManyKeys.Make(head, pepper, count))
        {
            var (key, entry) = (made.Key, made.Event);
            Run(keys, key.Id.Value, key.Name, Label.Fold(key.Name), key.Role.Name(), key.Owner, Label.Fold(key.Owner!), made.At, entry.Seq, made.Until, made.Seal.PepperId, made.Mac);
            Run(secrets, key.Id.Value, made.Seal.PepperId, made.Seal.Digest.ToArray(), made.At, made.Until);
            Run(events, entry.Seq, made.At, entry.Type, null, entry.Subject, entry.Body, entry.PreviousHash, entry.Hash);
            tokens.Add(made.Token);
            head = entry.Position;
        }

        var signed = ManyKeys.Sign(head, auditKey);
        using var move = Prepare(connection, "UPDATE ledger_head SET seq = $1, hash = $2, signed_at = $3, signature = $4, signed_by = $5", 5);
        Run(move, head.Seq, head.Hash, signed.End.At.ToUnixTimeMilliseconds(), signed.End.Signature, signed.By);
        transaction.Commit();
        return tokens;
    }

    private static LedgerPosition ReadHead(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT seq, hash FROM ledger_head";
        using var row = command.ExecuteReader();
        row.Read();
        return new LedgerPosition(row.GetInt64(0), row.GetString(1));
    }

    private static SqliteCommand Prepare(SqliteConnection connection, string sql, int parameters)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        for (var number = 1; number <= parameters; number++)
            command.Parameters.Add(new SqliteParameter { ParameterName = $"${number}" });
        command.Prepare();
        return command;
    }

    private static void Run(SqliteCommand command, params ReadOnlySpan<object?> values)
    {
        for (var index = 0; index < values.Length; index++)
            command.Parameters[index].Value = values[index] ?? DBNull.Value;
        command.ExecuteNonQuery();
    }
}
