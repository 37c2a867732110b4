using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Mira.Web.Authentication;
using Mira.Web.Hosting;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests;

/// <summary>The document the client is made from is the one that is served, and it tells the truth.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class OpenApiTests : SharedHost
{
    [Test]
    public async Task The_served_document_is_the_committed_one()
    {
        var served = await Host.Http().CallAsync("GET", "/swagger/v1/swagger.json");
        var committed = await File.ReadAllTextAsync(Path.Combine(Root(), "docs", "openapi.json"));
        Assert.That(served.Text.Trim(), Is.EqualTo(committed.Trim()), "Save what /swagger/v1/swagger.json serves as docs/openapi.json.");
    }

    [Test]
    public async Task Every_endpoint_of_a_controller_is_described()
    {
        var document = await DocumentAsync();
        var described = Operations(document).Select(operation => (operation.Method, operation.Path));
        var mapped = Host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => RequestRules.IsApi(endpoint.Metadata) && endpoint.Metadata.GetMetadata<ForwardAuthAttribute>() is null)
            .SelectMany(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(method => (method, $"/{endpoint.RoutePattern.RawText!.TrimStart('/')}")));
        Assert.That(described, Is.EquivalentTo(mapped));
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
            var secured = body.TryGetProperty("security", out var security) && security[0].TryGetProperty("bearer", out _);
            Assert.That(secured, Is.Not.EqualTo(anonymous.Contains(path)), $"{method} {path}");
        }
    }

    [Test]
    public async Task Every_error_is_a_problem()
    {
        foreach (var (method, path, body) in Operations(await DocumentAsync()))
        {
            var isSecured = body.TryGetProperty("security", out _);
            var statuses = body.GetProperty("responses").EnumerateObject().ToDictionary(response => response.Name, response => response.Value);
            Assert.That(statuses.Keys.Any(status => status[0] == '2'), Is.True, $"{method} {path} has an answer");
            Assert.That(statuses.Keys, isSecured ? Is.SupersetOf(new[] { "401", "403", "503" }) : Has.No.Member("401"), $"{method} {path}");
            if (body.TryGetProperty("requestBody", out _))
                Assert.That(statuses.Keys, Is.SupersetOf(new[] { "400", "413", "415" }), $"{method} {path}");
            if (path.Contains("{key_id}", StringComparison.Ordinal))
                Assert.That(statuses.Keys, Does.Contain("404"), $"{method} {path}");

            foreach (var (status, response) in statuses.Where(pair => pair.Key[0] is '4' or '5' && isSecured))
            {
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
    public async Task The_document_is_of_version_3_0_and_public() =>
        Assert.That((await DocumentAsync()).GetProperty("openapi").GetString(), Does.StartWith("3.0"));

    private async Task<JsonElement> DocumentAsync() => (await Host.Http().CallAsync("GET", "/swagger/v1/swagger.json")).Json;

    private static IEnumerable<(string Method, string Path, JsonElement Body)> Operations(JsonElement document) =>
        document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject()
            .Where(member => member.Name is "get" or "put" or "post" or "patch" or "delete" or "head" or "options")
            .Select(operation => (operation.Name.ToUpperInvariant(), path.Name, operation.Value)));

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Mira.sln")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("No Mira.sln above the tests.");
        return folder.FullName;
    }
}
