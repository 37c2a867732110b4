using System.Net;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Keys;

/// <summary>A key, every token that was handed out for it, and the clock that they share.</summary>
internal sealed class KeyWithClock
{
    public static readonly DateTimeOffset Start = HeldKey.Start;
    public static readonly TimeSpan Instant = TimeSpan.FromMilliseconds(1);

    private readonly List<Token> _tokens = [];

    public KeyWithClock(Role role = Role.Operator, int? days = 90)
        : this(Terms(role, days))
    {
    }

    public KeyWithClock(KeyTerms terms, string? reason = null)
    {
        var token = Token.Generate(KeyId.Generate());
        _tokens.Add(token);
        Key = ApiKey.Create(token.KeyId, Peppers.Seal(token), terms, Actor.SystemName, Start, reason);
    }

    public ApiKey Key { get; }

    public DateTimeOffset Now { get; private set; } = Start;

    public PepperRing Peppers { get; set; } = new(HeldKey.PepperOf(1));

    public Token First => _tokens[0];

    public Token Second => _tokens[1];

    public Token Third => _tokens[2];

    public Token Newest => _tokens[^1];

    public IReadOnlyList<Token> Tokens => _tokens;

    public KeyStatus Status => Key.StatusAt(Now);

    public static KeyTerms Terms(Role role = Role.Operator, int? days = 90) => new() { Name = "billing", Role = role, LifetimeDays = days };

    public void Rotate(int graceMinutes = 60, int? days = null)
    {
        var token = Token.Generate(Key.Id);
        Key.Rotate(Peppers.Seal(token), new Rotation(TimeSpan.FromMinutes(graceMinutes), days), Now);
        _tokens.Add(token);
    }

    public void Revoke(string by = "mira_key_000000000001", string? reason = null, int otherActiveAdmins = 1) =>
        Key.Revoke(by, reason, otherActiveAdmins, Now);

    public void Update(KeyUpdate update, int otherActiveAdmins = 1) => Key.Update(update, otherActiveAdmins, Now);

    public void Disable(int otherActiveAdmins = 1) => Update(new KeyUpdate { Disabled = true }, otherActiveAdmins);

    public void Enable() => Update(new KeyUpdate { Disabled = false });

    public void Pass(TimeSpan time) => Now += time;

    public void PassDays(int days) => Pass(TimeSpan.FromDays(days));

    public void PassMinutes(int minutes) => Pass(TimeSpan.FromMinutes(minutes));

    /// <summary>One millisecond, the smallest difference of time that Mira shows, before that moment.</summary>
    public void PassUntilJustBefore(DateTimeOffset moment) => Now = moment - Instant;

    public VerdictCode Ask(Token token, string? from = null) => Verify(token, from).Code;

    public Verdict Verify(Token token, string? from = null) =>
        Key.Verify(token, Peppers, from is null ? null : IPAddress.Parse(from), Now);

    public KeyEvent TakeOnlyEvent() => Key.TakeEvents().Single();
}
