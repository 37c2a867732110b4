using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Testing;

/// <summary>A key that is not stored yet, and the token that opens it.</summary>
public sealed class HeldKey
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    public static readonly PepperRing Peppers = new(PepperOf(1));

    public HeldKey(Role role = Role.Operator, int? days = 90, string name = "billing", string? owner = null)
        : this(new KeyTerms { Name = name, Role = role, LifetimeDays = days, Owner = owner })
    {
    }

    public HeldKey(KeyTerms terms, DateTimeOffset? now = null)
        : this(terms, Token.Generate(KeyId.Generate()), now ?? Start)
    {
    }

    private HeldKey(KeyTerms terms, Token token, DateTimeOffset now)
    {
        Token = token;
        Key = ApiKey.Create(Token.KeyId, Peppers.Seal(Token), terms, Actor.SystemName, now);
    }

    public ApiKey Key { get; }

    public KeyId Id => Key.Id;

    /// <summary>The newest token.</summary>
    public Token Token { get; private set; }

    public static Pepper PepperOf(byte seed) => new(Enumerable.Repeat(seed, Pepper.MinimumSize).ToArray());

    public static HashedToken SealFor(KeyId id) => Peppers.Seal(Token.Generate(id));

    /// <summary>Rotates the key, and returns the token that was the newest before.</summary>
    public Token Rotate(int graceMinutes, DateTimeOffset now)
    {
        var previous = Token;
        Token = Token.Generate(Key.Id);
        Key.Rotate(Peppers.Seal(Token), new Rotation(TimeSpan.FromMinutes(graceMinutes)), now);
        return previous;
    }

    /// <summary>The key as a store holds it after a rotation without grace. This one stays as it is.</summary>
    public HeldKey WithAnotherSecret() => Copy(Token.Generate(Key.Id));

    /// <summary>The key as a store holds it once it is revoked. This one stays as it is.</summary>
    public HeldKey RevokedCopy()
    {
        var copy = Copy(Token);
        copy.Key.Revoke(Actor.SystemName, null, 1, Start);
        return copy;
    }

    private HeldKey Copy(Token token) =>
        new(new KeyTerms { Name = Key.Name, Role = Key.Role, LifetimeDays = Key.LifetimeDays }, token, Start);
}
