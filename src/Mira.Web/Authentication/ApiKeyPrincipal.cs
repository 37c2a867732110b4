using System.Security.Claims;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Web.Authentication;

/// <summary>
/// A caller who proved a secret: the key's own claims, and those of its role, which all keys of that role share.
/// </summary>
public sealed class ApiKeyPrincipal : ClaimsPrincipal
{
    public const string PermissionClaim = "permission";
    public const string OwnerClaim = "owner";
    public const string SupersededClaim = "superseded";

    private static readonly ClaimsIdentity[] RoleIdentities = [.. Roles.All.Select(RoleIdentity)];

    /// <param name="entry">Of a key that exists.</param>
    public ApiKeyPrincipal(KeyEntry entry, Secret secret)
        : base([new KeyIdentity(entry.Key!, secret), RoleIdentities[(int)entry.Key!.Role]])
    {
        Entry = entry;
        Secret = secret;
    }

    public KeyEntry Entry { get; }

    /// <summary>The key as it was when this was made; a change of the key makes another principal.</summary>
    public ApiKey Key => Entry.Key!;

    public Secret Secret { get; }

    public Viewpoint Viewpoint => new(Key.Id, Key.Role, Key.Owner);

    /// <summary>What <c>RateLimit-Policy</c> says to this caller; made at its first call.</summary>
    internal string? LimitPolicy { get; set; }

    /// <summary>What the answer to a validation begins with, as UTF-8; made at its first call.</summary>
    internal byte[]? ValidatedHead { get; set; }

    /// <exception cref="InvalidOperationException">The endpoint was reached without authentication.</exception>
    public static ApiKeyPrincipal Of(HttpContext context) =>
        context.User as ApiKeyPrincipal ?? throw new InvalidOperationException("The endpoint declares no policy.");

    private static ClaimsIdentity RoleIdentity(Role role)
    {
        var identity = new ClaimsIdentity(ApiKeyAuthenticationHandler.SchemeName, ClaimTypes.Name, ClaimTypes.Role);
        identity.AddClaim(new Claim(ClaimTypes.Role, role.Name()));
        foreach (var permission in role.Permissions())
            identity.AddClaim(new Claim(PermissionClaim, permission));
        return identity;
    }

    /// <summary>
    /// The key's own claims, made when somebody asks for them: few calls do, and a node keeps an identity of each key
    /// in use.
    /// </summary>
    private sealed class KeyIdentity(ApiKey key, Secret secret) : ClaimsIdentity(ApiKeyAuthenticationHandler.SchemeName, ClaimTypes.Name, ClaimTypes.Role)
    {
        public override IEnumerable<Claim> Claims
        {
            get
            {
                yield return Of(ClaimTypes.NameIdentifier, key.Id.Value);
                yield return Of(ClaimTypes.Name, key.Name);
                if (key.Owner is not null)
                    yield return Of(OwnerClaim, key.Owner);
                foreach (var permission in key.FreePermissions)
                    yield return Of(PermissionClaim, permission);
                if (secret.IsSuperseded)
                    yield return Of(SupersededClaim, "true");
            }
        }

        public override ClaimsIdentity Clone() => new(Claims, AuthenticationType, NameClaimType, RoleClaimType);

        private Claim Of(string type, string value) => new(type, value, ClaimValueTypes.String, DefaultIssuer, DefaultIssuer, this);
    }
}
