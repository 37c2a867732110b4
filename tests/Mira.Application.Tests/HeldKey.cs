using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests;

/// <summary>A key and the token that opens it.</summary>
internal sealed class HeldKey
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    public static readonly PepperRing Peppers = new(PepperOf(1));

    public HeldKey(Role role = Role.Operator, int? days = 90, PepperRing? peppers = null)
        : this(new KeyTerms { Name = "billing", Role = role, LifetimeDays = days }, peppers)
    {
    }

    public HeldKey(KeyTerms terms, PepperRing? peppers = null)
        : this(terms, Token.Generate(KeyId.Generate()), peppers)
    {
    }

    private HeldKey(KeyTerms terms, Token token, PepperRing? peppers)
    {
        Token = token;
        Key = ApiKey.Issue(Token.KeyId, (peppers ?? Peppers).Seal(Token), terms, Actor.SystemName, Start);
        Key.TakeEvents();
    }

    public ApiKey Key { get; }

    public KeyId Id => Key.Id;

    public Token Token { get; private set; }

    public static Pepper PepperOf(byte seed) => new(Enumerable.Repeat(seed, Pepper.MinimumSize).ToArray());

    public Token Rotate(int graceMinutes, DateTimeOffset now)
    {
        var previous = Token;
        Token = Token.Generate(Key.Id);
        Key.Rotate(Peppers.Seal(Token), new Rotation(TimeSpan.FromMinutes(graceMinutes)), now);
        return previous;
    }

    /// <summary>The key as the store holds it after a rotation without grace; what was read before stays as it is.</summary>
    public HeldKey WithAnotherSecret() =>
        new(new KeyTerms { Name = Key.Name, Role = Key.Role, LifetimeDays = Key.LifetimeDays }, Token.Generate(Key.Id), null);

    /// <summary>The same key as the store holds it once it is revoked; what was read before stays as it is.</summary>
    public HeldKey RevokedCopy()
    {
        var copy = new HeldKey(new KeyTerms { Name = Key.Name, Role = Key.Role, LifetimeDays = Key.LifetimeDays }, Token, null);
        copy.Key.Revoke(Actor.SystemName, null, 1, Start);
        return copy;
    }

    /// <param name="ledger">Whose event it is of in that place; null for one that no ledger holds.</param>
    public KeyEntry At(long asOf, FakeLedgerReader? ledger = null) =>
        new(Id, Key, asOf, ledger?.Events.FirstOrDefault(entry => entry.Seq == asOf) is { } entry ? LedgerMarks.MarkOf(entry.Hash) : 1);
}
