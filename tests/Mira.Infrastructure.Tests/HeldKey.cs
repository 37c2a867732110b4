using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Tests;

/// <summary>A key that is not stored yet, and the token that opens it.</summary>
internal sealed class HeldKey
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    public static readonly PepperRing Peppers = new(PepperOf(1));

    public HeldKey(Role role = Role.Operator, int? days = 90, string name = "billing", string? owner = null)
        : this(new KeyTerms { Name = name, Role = role, LifetimeDays = days, Owner = owner })
    {
    }

    public HeldKey(KeyTerms terms, DateTimeOffset? now = null)
    {
        Token = Token.Generate(KeyId.Generate());
        Key = ApiKey.Issue(Token.KeyId, Peppers.Seal(Token), terms, Actor.SystemName, now ?? Start);
    }

    public ApiKey Key { get; }

    public KeyId Id => Key.Id;

    public Token Token { get; }

    public static Pepper PepperOf(byte seed) => new(Enumerable.Repeat(seed, Pepper.MinimumSize).ToArray());

    public static SealedSecret SealFor(KeyId id) => Peppers.Seal(Token.Generate(id));
}
