using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <summary>A revoked key cannot be changed, and only an active one can be rotated.</summary>
public sealed class KeyNotActiveException(KeyId keyId, KeyStatus status)
    : InvalidOperationException($"The key {keyId} is {status.Name()}.")
{
    public KeyStatus Status { get; } = status;
}

/// <summary>What is stored of the key is not what Mira wrote, so nothing is built on it.</summary>
public sealed class KeyNotAuthenticException(KeyId keyId)
    : InvalidOperationException($"The record of the key {keyId} was changed outside of Mira and is not believed: put back the one that Mira wrote.");

/// <summary>
/// A rotation would leave the key with more than <see cref="SecretHistory.MaximumLive"/> secrets that work.
/// </summary>
public sealed class TooManyLiveSecretsException(KeyId keyId)
    : InvalidOperationException($"The key {keyId} already has {SecretHistory.MaximumLive} secrets that work.");

/// <summary>The change would leave no admin key that works.</summary>
public sealed class LastAdminException(KeyId keyId)
    : InvalidOperationException($"The key {keyId} is the last active admin key.");
