using System.Net;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <summary>
/// A key: one record with one id for life, and the secrets that open it. Every rule of a key's life is here and nowhere else; whoever
/// stores, caches or shows a key asks it. Times come from the caller, who has them from the ledger's clock.
/// </summary>
public sealed partial class ApiKey
{
    public const int MaximumLiveSecrets = 3;
    public const int RememberedSecrets = 5;

    /// <summary>How long the holder of an ended secret is still told why it ended.</summary>
    public static readonly TimeSpan RememberedFor = TimeSpan.FromDays(90);

    // Sized for what nearly all keys have: a node keeps many keys, and one secret of each.
    private readonly List<Secret> _secrets = new(1);
    private List<KeyEvent>? _events;
    private Moment _created;
    private Moment _rotated;
    private Moment _revoked;

    private ApiKey()
    {
    }

    public KeyId Id { get; private set; }

    public string Name { get; private set; } = "";

    public Role Role { get; private set; }

    public string? Owner { get; private set; }

    /// <summary>Permissions of the user's own services, sorted; the role's come on top.</summary>
    public IReadOnlyList<string> FreePermissions { get; private set; } = [];

    public IReadOnlyDictionary<string, string> Metadata { get; private set; } = Keys.Metadata.Empty;

    /// <summary>Calls a minute; null for the role's default.</summary>
    public int? RateLimitPerMinute { get; private set; }

    /// <summary>From where it may be used; empty for anywhere.</summary>
    public IReadOnlyList<IpRange> AllowedIps { get; private set; } = [];

    /// <summary>How long each new secret lives, in days; null for ever.</summary>
    public int? LifetimeDays { get; private set; }

    public bool IsDisabled { get; private set; }

    public DateTimeOffset CreatedAt
    {
        get => _created.Value;
        private set => _created = value;
    }

    /// <summary>The id of the key that made it, or <see cref="Actor.SystemName"/>.</summary>
    public string CreatedBy { get; private set; } = "";

    public DateTimeOffset? RotatedAt { get => _rotated; private set => _rotated = value; }

    public DateTimeOffset? RevokedAt { get => _revoked; private set => _revoked = value; }

    public string? RevokedBy { get; private set; }

    public string? RevokedReason { get; private set; }

    /// <summary>Counts every change of the record, from 1; use does not change it.</summary>
    public int Version { get; private set; }

    /// <summary>Oldest first; the last is the current one.</summary>
    public IReadOnlyList<Secret> Secrets => _secrets;

    public Secret Current => _secrets[^1];

    public DateTimeOffset? LastUsedAt => _secrets.Max(secret => secret.LastUsedAt);

    /// <summary>When the last of its secrets ends and the key with it; null for never.</summary>
    public DateTimeOffset? LapsesAt => Secret.LastDeadline(_secrets);

    /// <summary>Until when a superseded secret works; null when there never was one.</summary>
    public DateTimeOffset? RotatingUntil => Secret.LastSuperseded(_secrets);

    /// <summary>The role's permissions and the free ones together, sorted by ordinal.</summary>
    public IReadOnlyList<string> Permissions =>
        FreePermissions.Count == 0 ? Role.Permissions() : [.. Role.Permissions().Concat(FreePermissions).Order(StringComparer.Ordinal)];

    public static ApiKey Issue(KeyId id, SealedSecret seal, KeyTerms terms, string by, DateTimeOffset now, string? reason = null)
    {
        var key = new ApiKey
        {
            Id = id,
            Name = terms.Name,
            Role = terms.Role,
            Owner = terms.Owner,
            FreePermissions = Sorted(terms.Permissions),
            Metadata = terms.Metadata,
            RateLimitPerMinute = terms.RateLimitPerMinute,
            AllowedIps = [.. terms.AllowedIps.Distinct()],
            LifetimeDays = terms.LifetimeDays,
            CreatedAt = now,
            CreatedBy = by,
        };
        key._secrets.Add(new Secret(1, seal, now, ExpiryOf(terms.LifetimeDays, now)));
        key.Changed(EventType.KeyCreated, reason, [.. KeyChanges.OfIssue(key)]);
        return key;
    }

    public KeyStatus StatusAt(DateTimeOffset now) => this switch
    {
        { RevokedAt: not null } => KeyStatus.Revoked,
        _ when LapsesAt <= now => KeyStatus.Expired,
        { IsDisabled: true } or { IsWithheld: true } or { IsDoubted: true } => KeyStatus.Disabled,
        _ when RotatingUntil > now => KeyStatus.Rotating,
        _ => KeyStatus.Active,
    };

    /// <summary>Can it manage keys now? That needs the current secret: a superseded one does not count, however long it works.</summary>
    public bool IsActiveAdmin(DateTimeOffset now) =>
        Role == Role.Admin && StatusAt(now) is KeyStatus.Active or KeyStatus.Rotating && !Current.HasEnded(now);

    /// <summary>A viewer sees itself and, if it has an owner, that owner's keys.</summary>
    public bool IsVisibleTo(Viewpoint viewer) =>
        viewer.Role.SeesAllKeys() || viewer.KeyId == Id || (viewer.Owner is not null && viewer.Owner == Owner);

    /// <summary>
    /// May the holder of this token use the key now, from there? Only who proved a secret is told why not.
    /// Precedence: revoked, rotated out, expired, disabled, address.
    /// </summary>
    /// <param name="from">The caller's address; null, when it is not known, is outside every range.</param>
    public Verdict Verify(Token token, PepperRing peppers, IPAddress? from, DateTimeOffset now)
    {
        if (FindSecret(token, peppers, now) is not { } secret)
            return Verdict.Invalid;

        var code = this switch
        {
            { RevokedAt: not null } => VerdictCode.KeyRevoked,
            _ when secret.ValidUntil <= now => VerdictCode.KeyRotatedOut,
            _ when secret.ExpiresAt <= now => VerdictCode.KeyExpired,
            { IsDisabled: true } or { IsWithheld: true } or { IsDoubted: true } => VerdictCode.KeyDisabled,
            _ when !AllowsAddress(from) => VerdictCode.IpNotAllowed,
            _ => VerdictCode.Valid,
        };
        return new Verdict(code, secret);
    }

    /// <summary>Does its role reach, and do its permissions cover everything that is asked for?</summary>
    public bool Meets(Demand demand) =>
        (demand.Role is not { } least || Role >= least) && demand.Permissions.All(Permits);

    /// <summary>Does the role, or a permission it was given, cover this one?</summary>
    public bool Permits(string permission) =>
        Role.Permissions().Contains(permission) || FreePermissions.Any(granted => Permission.Covers(granted, permission));

    /// <summary>
    /// Makes a new current secret. The old one works until the earliest of now + grace, its own end and the new one's end; no other
    /// secret's deadline changes, except that a grace of zero ends them all now.
    /// </summary>
    /// <exception cref="KeyNotActiveException">It is revoked, expired or disabled.</exception>
    /// <exception cref="TooManyLiveSecretsException">More than three secrets would work.</exception>
    public void Rotate(SealedSecret seal, Rotation rotation, DateTimeOffset now)
    {
        // To be withheld does not stand in the way: the rotation puts the record right.
        if (IsDisabled || StatusAt(now) is KeyStatus.Revoked or KeyStatus.Expired)
            throw new KeyNotActiveException(Id, StatusAt(now));

        var lifetime = rotation.LifetimeDays ?? LifetimeDays;
        var previous = Current;
        var next = new Secret(previous.Version + 1, seal, now, ExpiryOf(lifetime, now));
        var previousEnd = new[] { now + rotation.Grace, previous.ExpiresAt, next.ExpiresAt }.Min()!.Value;
        var endsAll = rotation.Grace == TimeSpan.Zero;
        var goOn = endsAll ? 0 : _secrets.Count(secret => secret == previous ? previousEnd > now : !secret.HasEnded(now));
        if (goOn + 1 > MaximumLiveSecrets)
            throw new TooManyLiveSecretsException(Id);

        foreach (var secret in _secrets.Where(secret => endsAll && secret.IsSuperseded && !secret.HasEnded(now)))
            secret.Supersede(now);
        previous.Supersede(previousEnd);
        _secrets.Add(next);
        // Chosen before any is taken out: whether one is remembered depends on all the others.
        HashSet<Secret> forgotten = [.. _secrets.Where(secret => !IsRemembered(secret, now))];
        _secrets.RemoveAll(forgotten.Contains);
        LifetimeDays = lifetime;
        RotatedAt = now;
        Changed(EventType.KeyRotated, null, [.. KeyChanges.OfRotation(previous, next), .. KeyChanges.OfWithholding(IsWithheld, false)]);
        IsWithheld = false;
    }

    /// <summary>Ends the key for good. Revoking it again changes nothing.</summary>
    /// <param name="otherActiveAdmins">How many other admin keys work now.</param>
    /// <exception cref="LastAdminException">No admin key would work any more.</exception>
    public void Revoke(string by, string? reason, int otherActiveAdmins, DateTimeOffset now)
    {
        if (RevokedAt is not null)
            return;

        DemandAnotherAdmin(otherActiveAdmins, now);
        RevokedAt = now;
        RevokedBy = by;
        RevokedReason = reason;
        Changed(EventType.KeyRevoked, reason, [FieldChange.Of("revoked_at", null, now)]);
    }

    /// <summary>Changes the key's terms. An update that changes nothing leaves the version as it is.</summary>
    /// <param name="otherActiveAdmins">How many other admin keys work now.</param>
    /// <exception cref="KeyNotActiveException">It is revoked.</exception>
    /// <exception cref="LastAdminException">No admin key would work any more.</exception>
    public void Update(KeyUpdate update, int otherActiveAdmins, DateTimeOffset now)
    {
        if (RevokedAt is not null)
            throw new KeyNotActiveException(Id, KeyStatus.Revoked);
        if (update.Disabled.Or(IsDisabled) || update.Role.Or(Role) != Role.Admin)
            DemandAnotherAdmin(otherActiveAdmins, now);

        var before = (ApiKey)MemberwiseClone();
        Name = update.Name.Or(Name);
        Owner = update.Owner.Or(Owner);
        Role = update.Role.Or(Role);
        FreePermissions = Sorted(update.Permissions.Or(FreePermissions));
        Metadata = update.Metadata.Or(Metadata);
        RateLimitPerMinute = update.RateLimitPerMinute.Or(RateLimitPerMinute);
        AllowedIps = [.. update.AllowedIps.Or(AllowedIps).Distinct()];
        IsDisabled = update.Disabled.Or(IsDisabled);
        IsWithheld = false;

        KeyEvent[] events = [.. KeyChanges.OfUpdate(before, this)];
        if (events.Length == 0)
            return;

        Version++;
        (_events ??= []).AddRange(events);
    }

    /// <summary>Will the holder of this secret still be told why it ended? True for every secret that works.</summary>
    public bool IsRemembered(Secret secret, DateTimeOffset now) =>
        EndOf(secret) is not { } end || end > now || (end + RememberedFor > now && CountLaterEnds(end, secret.Version, now) < RememberedSecrets);

    /// <summary>What happened since it was loaded, once: for the ledger, in the transaction that saves the key.</summary>
    public IReadOnlyList<KeyEvent> TakeEvents()
    {
        KeyEvent[] events = [.. _events ?? []];
        _events = null;
        return events;
    }

    private Secret? FindSecret(Token token, PepperRing peppers, DateTimeOffset now)
    {
        Span<byte> hash = stackalloc byte[Digest.Size];
        token.Hash(hash);
        var pepper = peppers.Current;
        var digest = pepper.Digest(hash);
        Secret? found = null;
        foreach (var secret in _secrets)
        {
            // Nearly always all secrets are under the current pepper and one digest serves for all.
            if (secret.PepperId != pepper.Id)
            {
                if (peppers.Find(secret.PepperId) is not { } other)
                    continue;
                (pepper, digest) = (other, other.Digest(hash));
            }

            if (secret.Matches(digest))
                found = secret;
        }

        return found is not null && IsRemembered(found, now) ? found : null;
    }

    private int CountLaterEnds(DateTimeOffset end, int version, DateTimeOffset now) => _secrets.Count(other =>
        EndOf(other) is { } otherEnd && otherEnd <= now && (otherEnd > end || (otherEnd == end && other.Version > version)));

    private bool AllowsAddress(IPAddress? address) =>
        AllowedIps.Count == 0 || (address is not null && AllowedIps.Any(range => range.Contains(address)));

    private DateTimeOffset? EndOf(Secret secret) => RevokedAt < (secret.Deadline ?? DateTimeOffset.MaxValue) ? RevokedAt : secret.Deadline;

    private void DemandAnotherAdmin(int otherActiveAdmins, DateTimeOffset now)
    {
        if (otherActiveAdmins == 0 && IsActiveAdmin(now))
            throw new LastAdminException(Id);
    }

    private void Changed(string type, string? reason, IReadOnlyList<FieldChange> changes)
    {
        Version++;
        (_events ??= []).Add(new KeyEvent(type, reason, changes));
    }

    private static string[] Sorted(IReadOnlyList<string> permissions) => [.. permissions.Distinct().Order(StringComparer.Ordinal)];

    private static DateTimeOffset? ExpiryOf(int? lifetimeDays, DateTimeOffset now) => lifetimeDays is { } days ? now.AddDays(days) : null;
}
