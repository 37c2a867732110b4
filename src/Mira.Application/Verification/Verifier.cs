using System.Net;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>
/// The path every call takes: token → parse and checksum → entry in memory → fixed-time compare → state and address.
/// When the entry is warm and the secret right it touches no store, and it never writes a key's record. What a key may
/// do now is decided by <see cref="ApiKey"/> alone.
/// </summary>
public sealed class Verifier(KeyCache directory, LedgerPoller poller, PepperRing peppers, UsageLog usage, ServiceMetrics metrics, TimeProvider clock)
{
    /// <param name="presented">What the caller sent as its token.</param>
    /// <param name="from">The caller's address, if it is known.</param>
    /// <exception cref="StoreUnavailableException">There is nothing to decide by.</exception>
    /// <exception cref="OverloadedException">Too many keys are being looked up.</exception>
    public ValueTask<Verification> VerifyAsync(string? presented, IPAddress? from)
    {
        var began = clock.GetTimestamp();
        var verifying = LookAsync(presented, from);
        if (!verifying.IsCompletedSuccessfully)
            return MeasureAsync(verifying, began);

        metrics.Count(verifying.Result.Verdict.Code, clock.GetElapsedTime(began));
        return verifying;
    }

    private async ValueTask<Verification> MeasureAsync(ValueTask<Verification> verifying, long began)
    {
        var verification = await verifying;
        metrics.Count(verification.Verdict.Code, clock.GetElapsedTime(began));
        return verification;
    }

    /// <summary>The same for who decides further, and counts what comes of it.</summary>
    internal ValueTask<Verification> LookAsync(string? presented, IPAddress? from)
    {
        if (!Token.TryParse(presented, out var token))
            return new ValueTask<Verification>(Verification.Refused);

        var trust = poller.EnsureTrustAsync();
        if (!trust.IsCompletedSuccessfully)
            return AwaitTrustAsync(trust, token, from);

        var found = directory.FindAsync(token.KeyId);
        if (!found.IsCompletedSuccessfully)
            return AwaitEntryAsync(found, token, from);

        var entry = found.Result;
        var decided = Decide(entry, token, from);
        return IsFinal(decided) ? new ValueTask<Verification>(decided) : LookAgainAsync(entry, token, from);
    }

    private async ValueTask<Verification> AwaitTrustAsync(ValueTask trust, Token token, IPAddress? from)
    {
        await trust;
        return await AwaitEntryAsync(directory.FindAsync(token.KeyId), token, from);
    }

    private async ValueTask<Verification> AwaitEntryAsync(ValueTask<KeyEntry> found, Token token, IPAddress? from)
    {
        var entry = await found;
        var decided = Decide(entry, token, from);
        return IsFinal(decided) ? decided : await LookAgainAsync(entry, token, from);
    }

    // With several nodes a key or a secret may be a moment old, and known to the one that made it only.
    private bool IsFinal(Verification decided) => decided.Key is not null || !poller.IsShared;

    // The query is shared by all who wait, so that guessing costs no more than one at a time.
    private async ValueTask<Verification> LookAgainAsync(KeyEntry known, Token token, IPAddress? from)
    {
        await poller.RefreshAsync();
        var entry = await directory.FindAsync(token.KeyId);
        return ReferenceEquals(entry, known) ? Verification.Refused : Decide(entry, token, from);
    }

    private Verification Decide(KeyEntry entry, Token token, IPAddress? from)
    {
        if (entry.Key is not { } key)
        {
            peppers.MatchNothing(token);
            return Verification.Refused;
        }

        var now = clock.GetUtcNow();
        var verdict = key.Verify(token, peppers, from, now);
        if (verdict.Secret is not { } secret)
            return Verification.Refused;

        var use = entry.UseOf(secret);
        if (verdict.IsValid)
            usage.Record(use, token, now);
        return new Verification(verdict, entry, use, now);
    }
}

/// <summary>
/// A verdict, and whose it is: the entry with its key and the secret are there exactly when the secret was proved.
/// </summary>
/// <param name="At">The moment it was decided for.</param>
public readonly record struct Verification(Verdict Verdict, KeyEntry? Entry, SecretUse? Use, DateTimeOffset At)
{
    public ApiKey? Key => Entry?.Key;

    public static Verification Refused => new(Verdict.Invalid, null, null, default);
}
