using Microsoft.OpenApi;
using Mira.Domain.Keys;

namespace Mira.Web.OpenApi;

/// <summary>
/// Describes forward authentication. It takes any method and any path below its own, for which OpenAPI has no words:
/// the document has the path itself, with the methods that proxies send.
/// </summary>
internal static class ForwardText
{
    private const string Path = "/api/auth/forward";

    private const string Description =
        "For proxies: 200 without a body when the key presented may pass, with the caller in headers; else 401, 403, 429 or 503 and nothing else. Takes any method, "
        + "and any path below this one, whose query is then not read. Reads no body and ignores inbound `X-Mira-*`.\n\nNeeds: any valid key.";

    private static readonly (HttpMethod Method, string OperationId)[] Methods =
        [(HttpMethod.Get, "ForwardAuth"), (HttpMethod.Head, "ForwardAuthHead"), (HttpMethod.Post, "ForwardAuthPost")];

    private static readonly (string Name, string Description, string Example)[] Headers =
    [
        ("X-Mira-Key-Id", "The key's id.", Examples.KeyId),
        ("X-Mira-Key-Name", "The key's name, percent-encoded.", "ci-pipeline"),
        ("X-Mira-Role", $"{Roles.Sentence}.", "operator"),
        ("X-Mira-Owner", "The key's owner, percent-encoded; `-` when there is none.", "team-payments"),
    ];

    public static void AddTo(OpenApiDocument document)
    {
        var item = new OpenApiPathItem();
        foreach (var (method, id) in Methods)
            item.AddOperation(method, Describe(document, id, hasBody: method != HttpMethod.Head));
        document.Paths.Add(Path, item);
    }

    private static OpenApiOperation Describe(OpenApiDocument document, string id, bool hasBody)
    {
        var operation = new OpenApiOperation
        {
            OperationId = id,
            Summary = "Decide for a proxy",
            Description = Description,
            Tags = new HashSet<OpenApiTagReference> { new("Verification", document) },
            Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(OpenApiSetup.Scheme, document)] = [] }],
            Parameters =
            [
                ListParameter("role", "At least this role; repeated, all of them.", "operator"),
                ListParameter("permission", "This permission, without a wildcard; repeated, all of them.", "documents:read"),
                OperationText.HeaderParameter("Mira-Require-Role", "As `role`, set by the proxy; several with commas."),
                OperationText.HeaderParameter("Mira-Require-Permission", "As `permission`, set by the proxy; several with commas."),
            ],
            Responses = new OpenApiResponses { ["200"] = new OpenApiResponse { Description = "The key may pass.", Headers = Headers.ToDictionary(header => header.Name, Header) } },
        };
        OperationText.SayProblems(operation, document, OperationProblems.OfForward(), hasBody);
        return operation;
    }

    private static OpenApiParameter ListParameter(string name, string description, string example) => new()
    {
        Name = name,
        In = ParameterLocation.Query,
        Description = description,
        Explode = true,
        Schema = new OpenApiSchema { Type = JsonSchemaType.Array, Items = new OpenApiSchema { Type = JsonSchemaType.String } },
        Example = new System.Text.Json.Nodes.JsonArray(example),
    };

    private static IOpenApiHeader Header((string Name, string Description, string Example) header) => new OpenApiHeader
    {
        Description = header.Description,
        Required = true,
        Schema = new OpenApiSchema { Type = JsonSchemaType.String },
        Example = header.Example,
    };
}
