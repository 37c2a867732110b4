using System.Net;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <summary>
/// A key: one record with one id for life, and the secrets that open it. Every rule of a key's life is here, and those
/// of its secrets are in <see cref="SecretHistory"/>; whoever stores, caches or shows a key asks it. Times come from
/// the caller, who has them from the ledger's clock.
/// </summary>
public sealed partial class ApiKey
{
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

    /// <summary>
    /// Its record was edited or deleted where others can write, so it is refused. Any change made through Mira repairs
    /// the record and ends this.
    /// </summary>
    public bool IsQuarantined { get; private set; }

    /// <summary>
    /// The store does not hold what Mira wrote, so the key is refused and nothing is built on it. Never stored.
    /// </summary>
    public bool IsDoubted { get; private set; }

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
    public DateTimeOffset? LapsesAt => History.LastDeadline;

    /// <summary>Until when a superseded secret works; null when there never was one.</summary>
    public DateTimeOffset? RotatingUntil => History.LastSupersededDeadline;

    /// <summary>The role's permissions and the free ones together, sorted by ordinal.</summary>
    public IReadOnlyList<string> Permissions =>
        FreePermissions.Count == 0 ? Role.Permissions() : [.. Role.Permissions().Concat(FreePermissions).Order(StringComparer.Ordinal)];

    private SecretHistory History => new(_secrets, RevokedAt);

    public static ApiKey Create(KeyId id, HashedToken token, KeyTerms terms, string by, DateTimeOffset now, string? reason = null)
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
        key._secrets.Add(new Secret(1, token, now, ExpiryOf(terms.LifetimeDays, now)));
        key.Changed(EventType.KeyCreated, reason, [.. KeyChanges.OfCreation(key)]);
        return key;
    }

    /// <summary>Takes in a key that a record holds and this ledger does not know yet.</summary>
    /// <exception cref="FormatException">It is the record of no key.</exception>
    public static ApiKey Import(KeyRecord record, string reason)
    {
        var key = From(record);
        key._events = [new KeyEvent(EventType.KeyCreated, reason, [.. KeyChanges.OfCreation(key)])];
        return key;
    }

    /// <summary>Stands for a key whose record cannot be read: without any secret, and not trusted.</summary>
    public static ApiKey Unreadable(KeyId id) => new() { Id = id, IsDoubted = true };

    public KeyStatus StatusAt(DateTimeOffset now) => this switch
    {
        { RevokedAt: not null } => KeyStatus.Revoked,
        _ when LapsesAt <= now => KeyStatus.Expired,
        { IsDisabled: true } or { IsQuarantined: true } or { IsDoubted: true } => KeyStatus.Disabled,
        _ when RotatingUntil > now => KeyStatus.Rotating,
        _ => KeyStatus.Active,
    };

    /// <summary>
    /// Can it manage keys now? That needs the current secret: a superseded one does not count, however long it works.
    /// </summary>
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
        if (History.Find(token, peppers, now) is not { } secret)
            return Verdict.Invalid;

        var code = this switch
        {
            { RevokedAt: not null } => VerdictCode.KeyRevoked,
            _ when secret.ValidUntil <= now => VerdictCode.KeyRotatedOut,
            _ when secret.ExpiresAt <= now => VerdictCode.KeyExpired,
            { IsDisabled: true } or { IsQuarantined: true } or { IsDoubted: true } => VerdictCode.KeyDisabled,
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
    /// Makes a new current secret. The old one works until the earliest of now + grace, its own end and the new one's
    /// end; no other secret's deadline changes, except that a grace of zero ends them all now.
    /// </summary>
    /// <exception cref="KeyNotActiveException">It is revoked, expired or disabled.</exception>
    /// <exception cref="TooManyLiveSecretsException">More than three secrets would work.</exception>
    public void Rotate(HashedToken token, Rotation rotation, DateTimeOffset now)
    {
        // To be quarantined does not stand in the way: the rotation repairs the record.
        if (IsDisabled || StatusAt(now) is KeyStatus.Revoked or KeyStatus.Expired)
            throw new KeyNotActiveException(Id, StatusAt(now));

        var lifetime = rotation.LifetimeDays ?? LifetimeDays;
        var previous = Current;
        var next = new Secret(previous.Version + 1, token, now, ExpiryOf(lifetime, now));
        if (!History.TryAdd(next, rotation.Grace, now))
            throw new TooManyLiveSecretsException(Id);

        LifetimeDays = lifetime;
        RotatedAt = now;
        Changed(EventType.KeyRotated, null, [.. KeyChanges.OfRotation(previous, next), .. KeyChanges.OfQuarantine(IsQuarantined, false)]);
        IsQuarantined = false;
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
        IsQuarantined = false;

        KeyEvent[] events = [.. KeyChanges.OfUpdate(before, this)];
        if (events.Length == 0)
            return;

        Version++;
        (_events ??= []).AddRange(events);
    }

    /// <summary>
    /// Refuses the key until its record is right again. Its version stays. A revoked key stays as it is.
    /// </summary>
    /// <param name="changes">What was found changed; never a digest.</param>
    /// <returns>Whether it was not quarantined before.</returns>
    public bool Quarantine(string reason, IReadOnlyList<FieldChange> changes)
    {
        if (IsQuarantined || RevokedAt is not null)
            return false;

        IsQuarantined = true;
        (_events ??= []).Add(new KeyEvent(EventType.IntegrityViolation, reason, changes) { Outcome = "failure" });
        return true;
    }

    /// <summary>Ends the quarantine, because the record is as it was.</summary>
    public void Release(string reason)
    {
        if (!IsQuarantined)
            return;

        IsQuarantined = false;
        (_events ??= []).Add(new KeyEvent(EventType.IntegrityViolation, reason, [.. KeyChanges.OfQuarantine(true, false)]));
    }

    /// <summary>Marks it as read from a record that is not trusted.</summary>
    public void Doubt() => IsDoubted = true;

    /// <summary>Is the holder of this secret still told why it ended? True for every secret that works.</summary>
    public bool IsRemembered(Secret secret, DateTimeOffset now) => History.IsRemembered(secret, now);

    /// <summary>
    /// What happened since it was loaded, once: for the ledger, in the transaction that saves the key.
    /// </summary>
    public IReadOnlyList<KeyEvent> TakeEvents()
    {
        KeyEvent[] events = [.. _events ?? []];
        _events = null;
        return events;
    }

    private bool AllowsAddress(IPAddress? address) =>
        AllowedIps.Count == 0 || (address is not null && AllowedIps.Any(range => range.Contains(address)));

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
