using System.Reflection;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ApplicationParts;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Mira.Application.Verification;
using Mira.Client;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Web.Authentication;
using Mira.Web.Calls;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Access;

/// <summary>
/// Every endpoint against every kind of caller. An endpoint that is not in the table fails the build.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class EndpointTests : SharedHost
{
    private const string Anyone = "anyone";
    private const string AnyKey = "any key";

    private static readonly string[] Callers = ["anonymous", "bad key", "viewer", "operator", "admin"];

    /// <summary>What each role may do, as the contract's table has it.</summary>
    private static readonly Dictionary<string, string[]> Granted = new()
    {
        ["anonymous"] = [],
        ["bad key"] = [],
        ["viewer"] = ["keys:read"],
        ["operator"] = ["keys:read", "keys:verify", "webhooks:execute"],
        ["admin"] = ["keys:read", "keys:verify", "webhooks:execute", "keys:manage", "audit:read", "stats:read"],
    };

    /// <param name="Admitted">The status for who may.</param>
    private sealed record Call(string Method, string Route, string Needs, string? Body = null, int Admitted = 200);

    private static readonly Call[] Table =
    [
        new("POST", "/api/keys", "keys:manage", """{"name":"a","role":"viewer"}""", 201),
        new("GET", "/api/keys", "keys:read"),
        new("GET", "/api/keys/{key_id}", "keys:read"),
        new("PATCH", "/api/keys/{key_id}", "keys:manage", """{"name":"b"}"""),
        new("POST", "/api/keys/{key_id}/rotate", "keys:manage", null, 201),
        new("DELETE", "/api/keys/{key_id}", "keys:manage"),
        new("GET", "/api/auth/validate", AnyKey),
        new("POST", "/api/keys/verify", "keys:verify", """{"api_key":"x"}"""),
        new("ANY", "/api/auth/forward/{**rest}", AnyKey),
        new("GET", "/api/keys/stats/cache", "stats:read"),
        new("GET", "/api/audit", "audit:read"),
        new("GET", "/api/audit/export", "audit:read"),
        new("GET", "/api/audit/public-key", "audit:read"),
        new("GET", "/health", Anyone),
        new("GET", "/health/live", Anyone),
        new("GET", "/health/ready", Anyone),
        new("GET", "/swagger/v1/swagger.json", Anyone),
        new("ANY", "/metrics", Anyone),
    ];

    private static IEnumerable<string> Names => Table.Select(call => $"{call.Method} {call.Route}");

    [Test]
    public void The_table_has_every_endpoint() =>
        Assert.That(Mapped(Host).Select(endpoint => $"{MethodOf(endpoint)} /{endpoint.RoutePattern.RawText!.TrimStart('/')}"), Is.EquivalentTo(Names));

    [Test]
    public async Task Each_caller_gets_what_its_role_may([ValueSource(nameof(Names))] string name, [ValueSource(nameof(Callers))] string caller)
    {
        var call = Table.Single(row => $"{row.Method} {row.Route}" == name);
        var owner = Unique();
        var target = await CreateAsync(owner: owner);
        var token = caller switch
        {
            "anonymous" => null,
            "bad key" => Token.Generate(KeyId.TryParse(target.KeyId, out var id) ? id : default).Reveal(),
            _ => (await CreateAsync(caller, owner)).ApiKey,
        };

        var path = call.Route.Replace("{key_id}", target.KeyId, StringComparison.Ordinal)
            .Replace("{**rest}", "", StringComparison.Ordinal);
        foreach (var method in call.Method == "ANY" ? ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] : new[] { call.Method })
        {
            var answer = await Host.Http(token).CallAsync(method, path, call.Body);
            Assert.That(answer.Verdict, Is.EqualTo(ExpectedFor(call, caller)), $"{method} {path}");
        }
    }

    [Test]
    public void Every_endpoint_of_a_controller_declares_who_may() => Assert.That(Undeclared(Host), Is.Empty);

    [Test]
    public async Task An_endpoint_whose_policy_was_forgotten_is_seen_and_closed_to_an_admin_too()
    {
        await using var planted = MiraHost.Start(configure: services => services.AddControllers().ConfigureApplicationPartManager(parts => parts.ApplicationParts.Add(new PlantedPart())));
        Assert.That(Undeclared(planted), Is.EqualTo(new[] { "planted" }));
        Assert.That((await planted.Http(planted.Admin).CallAsync("GET", "/planted")).Verdict, Is.EqualTo("403 insufficient_permission"));
        Assert.That((await planted.Http().CallAsync("GET", "/planted")).Verdict, Is.EqualTo("401 missing_credentials"));
    }

    [Test]
    public async Task An_endpoint_of_no_controller_is_closed_too()
    {
        var fallback = Host.Services.GetRequiredService<IOptions<AuthorizationOptions>>().Value.FallbackPolicy!;
        var token = Token.Generate(KeyId.Generate());
        var key = ApiKey.Create(
            token.KeyId, Host.Services.GetRequiredService<PepperRing>().Seal(token), new KeyTerms { Name = "a", Role = Role.Admin, LifetimeDays = null }, "system", DateTimeOffset.UtcNow);
        var user = new ApiKeyPrincipal(new KeyEntry(key.Id, key, 1), key.Current);
        var mapped = new RouteEndpoint(_ => Task.CompletedTask, RoutePatternFactory.Parse("planted"), 0, EndpointMetadataCollection.Empty, "planted");

        Assert.That(await MayAsync(mapped), Is.False);
        Assert.That(await MayAsync(null), Is.True, "there is nothing here, and the caller may be told so");

        async Task<bool> MayAsync(Endpoint? endpoint)
        {
            var context = new DefaultHttpContext { User = user };
            context.SetEndpoint(endpoint);
            var authenticated = AuthenticateResult.Success(new AuthenticationTicket(user, ApiKeyAuthenticationHandler.SchemeName));
            return (await Host.Services.GetRequiredService<IPolicyEvaluator>().AuthorizeAsync(fallback, authenticated, context, null)).Succeeded;
        }
    }

    [Test]
    public async Task What_is_not_there_is_told_to_who_has_a_key()
    {
        using var scope = Assert.EnterMultipleScope();
        Assert.That((await Host.Http().CallAsync("GET", "/api/nothing")).Verdict, Is.EqualTo("401 missing_credentials"));
        Assert.That((await AdminHttp.CallAsync("GET", "/api/nothing")).Verdict, Is.EqualTo("404 not_found"));
        Assert.That((await Host.Http().CallAsync("PUT", "/api/keys")).Verdict, Is.EqualTo("401 missing_credentials"));
        var wrong = await AdminHttp.CallAsync("PUT", "/api/keys");
        Assert.That(wrong.Verdict, Is.EqualTo("405 method_not_allowed"));
        Assert.That(wrong.Header("Allow")!.Split(", "), Is.EquivalentTo(new[] { "GET", "POST" }));
    }

    [Test]
    public async Task A_refusal_names_the_permission()
    {
        var answer = await Host.Http(await Host.NewKeyAsync("viewer")).CallAsync("GET", "/api/audit");
        Assert.That(answer.Field("detail"), Does.Contain("audit:read"));
        Assert.That(answer.Header("WWW-Authenticate"), Is.EqualTo("Bearer realm=\"mira\", error=\"insufficient_scope\", scope=\"audit:read\""));
        Assert.That(answer.Header("Content-Type"), Does.StartWith("application/problem+json"));
    }

    [Test]
    public async Task Free_permissions_open_nothing_of_the_services_own()
    {
        var made = await Admin.CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer", Permissions = ["keysmanage:x", "key:*", "audits:read", "documents:*"] });
        var http = Host.Http(made.ApiKey);
        foreach (var path in new[] { "/api/audit", "/api/keys/stats/cache" })
            Assert.That((await http.CallAsync("GET", path)).Verdict, Is.EqualTo("403 insufficient_permission"));
    }

    private static string ExpectedFor(Call call, string caller)
    {
        if (call.Needs == Anyone || Granted[caller].Contains(call.Needs))
            return $"{call.Admitted}";
        return caller switch
        {
            "anonymous" => "401 missing_credentials",
            "bad key" => "401 invalid_key",
            _ => call.Needs == AnyKey ? $"{call.Admitted}" : "403 insufficient_permission",
        };
    }

    private static IEnumerable<string?> Undeclared(MiraHost host) => Mapped(host)
        .Where(endpoint => RequestRules.IsApi(endpoint.Metadata)
                           && endpoint.Metadata.GetMetadata<IAllowAnonymous>() is null
                           && !endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>().Any(declared => declared.Policy is not null))
        .Select(endpoint => endpoint.RoutePattern.RawText);

    private static IEnumerable<RouteEndpoint> Mapped(MiraHost host) =>
        host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>();

    private static string MethodOf(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods is [var method] ? method : "ANY";

    private sealed class PlantedPart : ApplicationPart, IApplicationPartTypeProvider
    {
        public override string Name => "planted";

        public IEnumerable<TypeInfo> Types => [typeof(PlantedController).GetTypeInfo()];
    }
}

/// <summary>What a hurried hand might add; only <see cref="EndpointTests"/> maps it.</summary>
[ApiController]
[Route("planted")]
public sealed class PlantedController : ControllerBase
{
    [HttpGet]
    public IActionResult Get() => Ok();
}
