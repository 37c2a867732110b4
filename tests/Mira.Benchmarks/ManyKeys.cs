using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Benchmarks;

/// <summary>
/// Keys in any number, each with its secret and its event in the chain, as the service itself would have made them one
/// by one. They are written into the database of a stopped service, which must have been started there once, for the
/// tables.
/// </summary>
internal static class ManyKeys
{
    public const int Owners = 1000;

    /// <param name="head">Where the ledger ends.</param>
    /// <param name="pepper">The pepper the service uses, as it stands in the data folder.</param>
    public static IEnumerable<MadeKey> Make(LedgerPosition head, string pepper, int count)
    {
        var peppers = new PepperRing(new Pepper(Convert.FromBase64String(pepper.Trim())));
        var rows = new RowAuthenticator(peppers);
        for (var number = 0; number < count; number++)
        {
            var now = Rfc3339.Truncate(DateTimeOffset.UtcNow);
            var token = Token.Generate(KeyId.Generate());
            var seal = peppers.Seal(token);
            var key = ApiKey.Create(token.KeyId, seal, TermsOf(number), Actor.SystemName, now);
            var entry = LedgerEvent.Append(head, now, new PendingEvent(EventType.KeyCreated, Actor.System, key.Id.Value, null) { Changes = key.TakeEvents()[0].Changes });
            head = entry.Position;
            yield return new MadeKey(token.Reveal(), key, seal, entry, rows.SignNew(key, entry.Seq));
        }
    }

    /// <summary>The end of the ledger, signed as the service does with every commit.</summary>
    /// <param name="auditKey">PEM.</param>
    public static (Checkpoint End, string By) Sign(LedgerPosition head, string auditKey) => AuditKey.TryParse(auditKey, out var key, out var problem)
        ? (key.Sign(head, DateTimeOffset.UtcNow), key.Public.Text)
        : throw new FormatException(problem);

    /// <summary>A well-formed token of the same key that is refused once the key was read.</summary>
    public static string WithAnotherSecret(string token) =>
        Token.Generate(KeyId.TryParse(token[..KeyId.Length], out var id) ? id : throw new FormatException("It is no token.")).Reveal();

    private static KeyTerms TermsOf(int number) => new()
    {
        Name = $"key {number}",
        Role = number % 10 == 0 ? Role.Operator : Role.Viewer,
        LifetimeDays = 90,
        Owner = $"owner {number % Owners}",
    };
}

/// <summary>A key, what is stored of its one secret, and the event that made it.</summary>
internal sealed record MadeKey(string Token, ApiKey Key, HashedToken Seal, LedgerEvent Event, byte[] Mac)
{
    public long At => Event.At.ToUnixTimeMilliseconds();

    public long Until => Key.LapsesAt!.Value.ToUnixTimeMilliseconds();
}
