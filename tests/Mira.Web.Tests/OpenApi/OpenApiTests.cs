using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Mira.Web.Calls;
using Mira.Web.Requests;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.OpenApi;

/// <summary>The document the client is made from is the one that is served, and it tells the truth.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class OpenApiTests : SharedHost
{
    [Test]
    public async Task The_served_document_is_the_committed_one()
    {
        var served = await Host.Http().CallAsync("GET", "/swagger/v1/swagger.json");
        var committed = RepositoryFiles.Read("docs", "openapi.json");
        Assert.That(served.Text.Trim(), Is.EqualTo(committed.Trim()), "Save what /swagger/v1/swagger.json serves as docs/openapi.json.");
    }

    [Test]
    public async Task Every_endpoint_of_the_api_is_described()
    {
        var document = await DocumentAsync();
        var described = Operations(document).Select(operation => (operation.Method, operation.Path));
        var mapped = Host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => RequestRules.IsApi(endpoint.Metadata) && endpoint.Metadata.GetMetadata<ForwardAuthAttribute>() is null)
            .SelectMany(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(method => (method, $"/{endpoint.RoutePattern.RawText!.TrimStart('/')}")));
        // It takes any method and any path below, which the document has no words for.
        var forward = new[] { "GET", "HEAD", "POST" }.Select(method => (method, "/api/auth/forward"));
        Assert.That(described, Is.EquivalentTo(mapped.Concat(forward)));
    }

    [Test]
    public async Task Every_operation_has_an_id_of_its_own_and_says_what_it_does()
    {
        var operations = Operations(await DocumentAsync()).Select(operation => operation.Body).ToList();
        var ids = operations.Select(operation => operation.GetProperty("operationId").GetString()).ToList();
        Assert.That(ids, Is.Unique.And.All.Match(@"\A[A-Z][A-Za-z]+\z"));
        Assert.That(operations.Select(operation => operation.GetProperty("summary").GetString()), Is.All.Not.Empty);
        Assert.That(operations.Select(operation => operation.GetProperty("tags").GetArrayLength()), Is.All.EqualTo(1));
    }

    [Test]
    public async Task A_bearer_is_asked_for_exactly_where_one_is_needed()
    {
        var document = await DocumentAsync();
        Assert.That(document.GetProperty("components").GetProperty("securitySchemes").GetProperty("bearer").GetProperty("scheme").GetString(), Is.EqualTo("bearer"));

        var anonymous = Host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            .Select(endpoint => $"/{endpoint.RoutePattern.RawText!.TrimStart('/')}").ToHashSet();
        foreach (var (method, path, body) in Operations(document))
        {
            var security = body.GetProperty("security");
            var secured = security.GetArrayLength() == 1 && security[0].TryGetProperty("bearer", out _);
            Assert.That(secured, Is.Not.EqualTo(anonymous.Contains(path)), $"{method} {path}");
        }
    }

    [Test]
    public async Task Every_error_is_a_problem()
    {
        foreach (var (method, path, body) in Operations(await DocumentAsync()))
        {
            var isSecured = body.GetProperty("security").GetArrayLength() > 0;
            var statuses = body.GetProperty("responses").EnumerateObject().ToDictionary(response => response.Name, response => response.Value);
            Assert.That(statuses.Keys.Any(status => status[0] == '2'), Is.True, $"{method} {path} has an answer");
            Assert.That(statuses.Keys, isSecured ? Is.SupersetOf(new[] { "401", "403", "503" }) : Has.No.Member("401"), $"{method} {path}");
            if (body.TryGetProperty("requestBody", out _))
                Assert.That(statuses.Keys, Is.SupersetOf(new[] { "400", "413", "415" }), $"{method} {path}");
            if (path.Contains("{key_id}", StringComparison.Ordinal))
                Assert.That(statuses.Keys, Does.Contain("404"), $"{method} {path}");

            foreach (var (status, response) in statuses.Where(pair => pair.Key[0] is '4' or '5' && isSecured))
            {
                if (method == "HEAD")
                {
                    Assert.That(response.TryGetProperty("content", out _), Is.False, $"{method} {path} {status}");
                    continue;
                }

                var schema = response.GetProperty("content").GetProperty("application/problem+json").GetProperty("schema").GetProperty("$ref").GetString();
                Assert.That(schema, Is.EqualTo("#/components/schemas/Problem"), $"{method} {path} {status}");
            }
        }
    }

    [TestCase("POST", "/api/keys", "409", "422")]
    [TestCase("PATCH", "/api/keys/{key_id}", "409", "412")]
    [TestCase("POST", "/api/keys/{key_id}/rotate", "409", "412", "422")]
    [TestCase("DELETE", "/api/keys/{key_id}", "409", "412")]
    public async Task Conflicts_of_a_change_are_described(string method, string path, params string[] statuses)
    {
        var operation = Operations(await DocumentAsync()).Single(operation => (operation.Method, operation.Path) == (method, path)).Body;
        Assert.That(operation.GetProperty("responses").EnumerateObject().Select(response => response.Name), Is.SupersetOf(statuses));
    }

    [Test]
    public async Task A_body_that_may_be_left_out_is_optional()
    {
        foreach (var (method, path, body) in Operations(await DocumentAsync()))
        {
            if (!body.TryGetProperty("requestBody", out var request))
                continue;

            var isRequired = request.TryGetProperty("required", out var required) && required.GetBoolean();
            Assert.That(isRequired, Is.Not.EqualTo(path.EndsWith("/rotate", StringComparison.Ordinal)), $"{method} {path}");
            Assert.That(request.GetProperty("content").GetProperty("application/json").GetProperty("schema").TryGetProperty("$ref", out _), Is.True, $"{method} {path}");
        }
    }

    [Test]
    public async Task Nothing_is_null_that_its_own_schema_forbids()
    {
        // OpenAPI 3.0: nullable holds for the type beside it, and every part of allOf has to take null as well.
        var schemas = (await DocumentAsync()).GetProperty("components").GetProperty("schemas").EnumerateObject();
        Assert.That(schemas.SelectMany(schema => schema.Value.GetProperty("properties").EnumerateObject())
            .Where(property => property.Value.TryGetProperty("nullable", out _) && !property.Value.TryGetProperty("type", out _)), Is.Empty);
        Assert.That((await DocumentAsync()).ToString(), Does.Not.Contain("\"allOf\""));
    }

    [TestCase("GET", "/api/auth/validate", "400", "406", "500")]
    [TestCase("POST", "/api/keys/verify", "400", "406", "408", "413", "415", "500", "503")]
    [TestCase("GET", "/health", "400", "406", "500", "503")]
    public async Task Every_status_is_described(string method, string path, params string[] statuses)
    {
        var operation = Operations(await DocumentAsync()).Single(operation => (operation.Method, operation.Path) == (method, path)).Body;
        Assert.That(operation.GetProperty("responses").EnumerateObject().Select(response => response.Name), Is.SupersetOf(statuses));
    }

    [Test]
    public async Task The_document_is_of_version_3_0_and_public() =>
        Assert.That((await DocumentAsync()).GetProperty("openapi").GetString(), Does.StartWith("3.0"));

    private async Task<JsonElement> DocumentAsync() => (await Host.Http().CallAsync("GET", "/swagger/v1/swagger.json")).Json;

    private static IEnumerable<(string Method, string Path, JsonElement Body)> Operations(JsonElement document) =>
        document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject()
            .Where(member => member.Name is "get" or "put" or "post" or "patch" or "delete" or "head" or "options")
            .Select(operation => (operation.Name.ToUpperInvariant(), path.Name, operation.Value)));
}
