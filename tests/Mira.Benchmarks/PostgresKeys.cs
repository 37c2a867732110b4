using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Npgsql;
using NpgsqlTypes;

namespace Mira.Benchmarks;

/// <summary>Writes many keys into a PostgreSQL database, in batches by COPY.</summary>
internal static class PostgresKeys
{
    private const int BatchSize = 20_000;

    private const string Keys =
        """
        COPY keys (id, name, name_folded, role, owner, owner_folded, free_permissions, metadata, allowed_ips, lifetime_days, is_disabled,
            created_at, created_by, version, created_seq, lapse_at, current_expires_at, changed_seq, mac_pepper_id, mac) FROM STDIN (FORMAT BINARY)
        """;

    private const string Secrets = "COPY secrets (key_id, version, pepper_id, digest, created_at, expires_at) FROM STDIN (FORMAT BINARY)";

    private const string Events = "COPY ledger (seq, at, type, subject, body, previous_hash, hash) FROM STDIN (FORMAT BINARY)";

    /// <returns>The tokens of this many of them, spread over all.</returns>
    public static async Task<IReadOnlyList<string>> WriteAsync(NpgsqlConnection connection, string pepper, string auditKey, int count, int tokens)
    {
        await using var transaction = await connection.BeginTransactionAsync();
        var head = await ReadHeadAsync(connection);
        var (number, spread) = (0, count / tokens);
        var kept = new List<string>();
        foreach (var batch in ManyKeys.Make(head, pepper, count).Chunk(BatchSize))
        {
            await CopyAsync(connection, Keys, batch, made =>
            [
                made.Key.Id.Value, made.Key.Name, Label.Fold(made.Key.Name), made.Key.Role.Name(), made.Key.Owner!, Label.Fold(made.Key.Owner!), "[]", "{}", "[]",
                90, false, made.At, Actor.SystemName, 1, made.Event.Seq, made.Until, made.Until, made.Event.Seq, made.Seal.PepperId, made.Mac,
            ]);
            await CopyAsync(connection, Secrets, batch, made =>
                [made.Key.Id.Value, 1, made.Seal.PepperId, made.Seal.Digest.ToArray(), made.At, made.Until]);
            await CopyAsync(connection, Events, batch, made =>
                [made.Event.Seq, made.At, made.Event.Type, made.Event.Subject!, made.Event.Body, made.Event.PreviousHash, made.Event.Hash]);
            kept.AddRange(batch.Where(_ => number++ % spread == 0 && kept.Count < tokens).Select(made => made.Token));
            head = batch[^1].Event.Position;
        }

        var (end, by) = ManyKeys.Sign(head, auditKey);
        await using var move = new NpgsqlCommand("UPDATE ledger_head SET seq = $1, hash = $2, signed_at = $3, signature = $4, signed_by = $5", connection)
        {
            Parameters =
            {
                new() { Value = head.Seq }, new() { Value = head.Hash }, new() { Value = end.At.ToUnixTimeMilliseconds() }, new() { Value = end.Signature },
                new() { Value = by },
            },
        };
        await move.ExecuteNonQueryAsync();
        await transaction.CommitAsync();
        await using var analyze = new NpgsqlCommand("VACUUM ANALYZE", connection);
        await analyze.ExecuteNonQueryAsync();
        return kept;
    }

    private static async Task<LedgerPosition> ReadHeadAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT seq, hash FROM ledger_head", connection);
        await using var row = await command.ExecuteReaderAsync();
        await row.ReadAsync();
        return new LedgerPosition(row.GetInt64(0), row.GetString(1));
    }

    private static async Task CopyAsync(NpgsqlConnection connection, string copy, MadeKey[] batch, Func<MadeKey, object[]> columns)
    {
        await using var rows = await connection.BeginBinaryImportAsync(copy);
        foreach (var made in batch)
        {
            await rows.StartRowAsync();
            foreach (var value in columns(made))
                await rows.WriteAsync(value, TypeOf(value));
        }

        await rows.CompleteAsync();
    }

    private static NpgsqlDbType TypeOf(object value) => value switch
    {
        string => NpgsqlDbType.Text,
        long => NpgsqlDbType.Bigint,
        int => NpgsqlDbType.Integer,
        bool => NpgsqlDbType.Boolean,
        _ => NpgsqlDbType.Bytea,
    };
}
