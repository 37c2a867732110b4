using System.Text.Json.Nodes;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Mira.Application.Keys;
using Mira.Domain.Keys;

namespace Mira.Web.OpenApi;

/// <summary>The OpenAPI document, complete enough to generate a client from, and the page that shows it.</summary>
public static class OpenApiSetup
{
    private const string DocumentName = "v1";
    internal const string Scheme = "bearer";
    internal const string ProblemSchema = "Problem";

    private static readonly (string Name, string Description)[] Tags =
    [
        ("Keys", "The life of keys."), ("Verification", "Is a key valid, and may it do this?"), ("Audit", "Who did what, provably."),
        ("Operation", "How the service does."),
    ];

    /// <summary>Bodies take no property they do not know; answers may grow.</summary>
    private static readonly Dictionary<Type, string[]> RequiredOfBodies = new()
    {
        [typeof(CreateKey)] = ["name", "role"],
        [typeof(UpdateKey)] = [],
        [typeof(RotateKey)] = [],
        [typeof(VerifyKey)] = ["api_key"],
    };

    public static void AddMiraOpenApi(this IServiceCollection services) => services.AddOpenApi(DocumentName, options =>
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_0;
        // A value that may be absent is described by the value itself, and one of any type by nothing.
        options.CreateSchemaReferenceId = type => IsOptional(type.Type) || type.Type == typeof(JsonNode) ? null : OpenApiOptions.CreateDefaultSchemaReferenceId(type);
        options.AddDocumentTransformer(DescribeDocument);
        options.AddOperationTransformer(OperationText.DescribeAsync);
        options.AddSchemaTransformer(DescribeSchema);
    });

    /// <summary>
    /// Serves the document, which is made once: making it costs as much as ten thousand verifications, and everybody
    /// may ask.
    /// </summary>
    public static void MapMiraOpenApi(this WebApplication app)
    {
        // What makes it is not even loaded before somebody asks.
        var document = new Lazy<Task<string>>(async () =>
        {
            var provider = app.Services.GetRequiredKeyedService<IOpenApiDocumentProvider>(DocumentName);
            return await (await provider.GetOpenApiDocumentAsync()).SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_0);
        });
        app.MapGet($"/swagger/{DocumentName}/swagger.json", async () => Results.Text(await document.Value, "application/json"))
            .AllowAnonymous().ExcludeFromDescription();
    }

    private static Task DescribeDocument(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Mira",
            Version = DocumentName,
            Description = "Issues, verifies, rotates and revokes API keys. Present a key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
            License = new OpenApiLicense { Name = "MIT", Url = new Uri("https://opensource.org/license/mit") },
        };
        // Whoever serves the document serves the API.
        document.Servers = [new OpenApiServer { Url = "/" }];
        document.Tags = new HashSet<OpenApiTag>(Tags.Select(tag => new OpenApiTag { Name = tag.Name, Description = tag.Description }));
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            [Scheme] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                BearerFormat = "mira_key",
                Description = "An API key: mira_key_…",
            },
        };
        document.Components.Schemas ??= new Dictionary<string, IOpenApiSchema>();
        foreach (var schema in document.Components.Schemas.Values.ToList())
            SayNullableReferences(schema, document.Components.Schemas);
        document.Components.Schemas[ProblemSchema] = Problem();
        ForwardText.AddTo(document);
        var paths = new OpenApiPaths();
        foreach (var (path, item) in document.Paths.OrderBy(path => path.Key, StringComparer.Ordinal))
            paths.Add(path, item);
        document.Paths = paths;
        return Task.CompletedTask;
    }

    // OpenAPI 3.0 has no null type, and says nothing beside a reference: what may be null where it is used says so
    // itself.
    private static void SayNullableReferences(IOpenApiSchema schema, IDictionary<string, IOpenApiSchema> schemas)
    {
        foreach (var (name, property) in schema.Properties?.ToList() ?? [])
        {
            if (property is not OpenApiSchema { OneOf: [_, OpenApiSchemaReference reference] })
                continue;

            schema.Properties![name] = reference;
            ((OpenApiSchema)schemas[reference.Reference.Id!]).Type |= JsonSchemaType.Null;
        }
    }

    private static bool IsOptional(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Optional<>);

    private static async Task DescribeSchema(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken cancellationToken)
    {
        var type = context.JsonTypeInfo.Type;
        if (IsOptional(type))
        {
            var inner = await context.GetOrCreateSchemaAsync(type.GetGenericArguments()[0], null, cancellationToken);
            schema.Type = inner.Type | JsonSchemaType.Null;
            schema.Format = inner.Format;
            schema.Items = inner.Items;
            schema.AdditionalProperties = inner.AdditionalProperties;
        }

        if (type == typeof(int) || type == typeof(int?))
        {
            schema.Type = JsonSchemaType.Integer | (type == typeof(int?) ? JsonSchemaType.Null : 0);
            schema.Format = "int32";
            schema.Pattern = null;
        }

        if (type == typeof(DateTimeOffset) || type == typeof(DateTimeOffset?))
        {
            schema.Type = JsonSchemaType.String | (type == typeof(DateTimeOffset?) ? JsonSchemaType.Null : 0);
            schema.Format = "date-time";
        }

        if (schema.Properties?.Count > 0)
            schema.AdditionalPropertiesAllowed = !RequiredOfBodies.ContainsKey(type);
        if (RequiredOfBodies.TryGetValue(type, out var required))
        {
            schema.Required = new HashSet<string>(required);
            foreach (var name in required)
                ((OpenApiSchema)schema.Properties![name]).Type &= ~JsonSchemaType.Null;
        }
    }

    private static OpenApiSchema Problem() => new()
    {
        Type = JsonSchemaType.Object,
        Description = "An error (RFC 9457).",
        Required = new HashSet<string> { "type", "title", "status", "detail", "code", "trace_id" },
        Properties = new Dictionary<string, IOpenApiSchema>
        {
            ["type"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["title"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["status"] = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32" },
            ["detail"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["code"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "Names the error for good." },
            ["trace_id"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["errors"] = new OpenApiSchema
            {
                Type = JsonSchemaType.Object | JsonSchemaType.Null,
                Description = "Field → messages, on 400.",
                AdditionalProperties = new OpenApiSchema { Type = JsonSchemaType.Array, Items = new OpenApiSchema { Type = JsonSchemaType.String } },
            },
        },
    };
}
