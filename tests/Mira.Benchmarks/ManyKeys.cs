using Microsoft.Data.Sqlite;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Benchmarks;

/// <summary>
/// Fills the database of a stopped service with keys, each with its secret and its event in the chain, as the service itself would have made
/// them one by one. The service must have been started there once, for the tables.
/// </summary>
internal static class ManyKeys
{
    public const int Owners = 1000;

    private const string Event =
        "INSERT INTO ledger (seq, at, type, actor_key_id, subject, body, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

    private const string Secret =
        "INSERT INTO secrets (key_id, version, pepper_id, digest, created_at, expires_at) VALUES ($1, 1, $2, $3, $4, $5)";

    private const string Key =
        """
        INSERT INTO keys (id, name, name_folded, role, owner, owner_folded, free_permissions, metadata, allowed_ips, lifetime_days, is_disabled,
            created_at, created_by, version, created_seq, lapse_at)
        VALUES ($1, $2, $3, $4, $5, $6, '[]', '{}', '[]', 90, 0, $7, 'system', 1, $8, $9)
        """;

    /// <param name="database">The file.</param>
    /// <param name="pepper">The pepper the service uses, as it stands in the data folder.</param>
    /// <param name="auditKey">The key that signs its ledger, as it stands in the data folder.</param>
    /// <returns>The tokens of a few of them, spread over all.</returns>
    public static IReadOnlyList<string> Write(string database, string pepper, string auditKey, int count)
    {
        var peppers = new PepperRing(new Pepper(Convert.FromBase64String(pepper.Trim())));
        var tokens = new List<string>();
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = database, Pooling = false }.ToString());
        connection.Open();
        using var transaction = connection.BeginTransaction();
        using var keys = Prepare(connection, Key, 9);
        using var secrets = Prepare(connection, Secret, 5);
        using var events = Prepare(connection, Event, 8);
        var head = ReadHead(connection);
        for (var number = 0; number < count; number++)
        {
            var now = Rfc3339.Truncate(DateTimeOffset.UtcNow);
            var token = Token.Generate(KeyId.Generate());
            var seal = peppers.Seal(token);
            var key = ApiKey.Issue(token.KeyId, seal, TermsOf(number), Actor.SystemName, now);
            var entry = LedgerEvent.Append(head, now, new EventDraft(EventType.KeyCreated, Actor.System, key.Id.Value, null) { Changes = key.TakeEvents()[0].Changes });
            head = entry.Position;

            var (at, until) = (now.ToUnixTimeMilliseconds(), key.LapsesAt!.Value.ToUnixTimeMilliseconds());
            Run(keys, key.Id.Value, key.Name, Label.Fold(key.Name), key.Role.Name(), key.Owner, Label.Fold(key.Owner!), at, entry.Seq, until);
            Run(secrets, key.Id.Value, seal.PepperId, seal.Digest.ToArray(), at, until);
            Run(events, entry.Seq, at, entry.Type, null, entry.Subject, entry.Body, entry.PreviousHash, entry.Hash);
            if (number % (1 + (count / 100)) == 0)
                tokens.Add(token.Reveal());
        }

        var signer = AuditKey.TryParse(auditKey, out var read, out var problem) ? read : throw new FormatException(problem);
        var signed = signer.Sign(head, DateTimeOffset.UtcNow);
        using var move = Prepare(connection, "UPDATE ledger_head SET seq = $1, hash = $2, signed_at = $3, signature = $4, signed_by = $5", 5);
        Run(move, head.Seq, head.Hash, signed.At.ToUnixTimeMilliseconds(), signed.Signature, signer.Public.Text);
        transaction.Commit();
        return tokens;
    }

    private static KeyTerms TermsOf(int number) => new()
    {
        Name = $"key {number}",
        Role = number % 10 == 0 ? Role.Operator : Role.Viewer,
        LifetimeDays = 90,
        Owner = $"owner {number % Owners}",
    };

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
