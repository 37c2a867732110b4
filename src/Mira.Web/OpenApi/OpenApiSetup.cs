using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Mira.Application.Keys;
using Mira.Domain.Keys;
using Mira.Web.Controllers;
using Mira.Web.Problems;

namespace Mira.Web.OpenApi;

/// <summary>The OpenAPI document, complete enough to generate a client from, and the page that shows it.</summary>
public static class OpenApiSetup
{
    private const string DocumentName = "v1";
    private const string Scheme = "bearer";
    private const string ProblemSchema = "Problem";

    private static readonly string[] TagOrder = ["Keys", "Verification", "Audit", "Operation"];

    /// <summary>Bodies take no property they do not know; answers may grow.</summary>
    private static readonly Dictionary<Type, string[]> RequiredOfBodies = new()
    {
        [typeof(IssueKey)] = ["name", "role"],
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
        options.AddOperationTransformer(DescribeOperation);
        options.AddSchemaTransformer(DescribeSchema);
    });

    /// <summary>Serves the document, which is made once: making it costs as much as ten thousand verifications, and everybody may ask.</summary>
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
            License = new OpenApiLicense { Name = "MIT" },
        };
        // Whoever serves the document serves the API.
        document.Servers = [];
        document.Tags = new HashSet<OpenApiTag>(TagOrder.Select(name => new OpenApiTag { Name = name }));
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
        foreach (var schema in document.Components.Schemas.Values)
            SayNullableReferences(schema);
        document.Components.Schemas[ProblemSchema] = Problem();
        return Task.CompletedTask;
    }

    // OpenAPI 3.0 has no null type: a reference that may be null is wrapped.
    private static void SayNullableReferences(IOpenApiSchema schema)
    {
        foreach (var (name, property) in schema.Properties?.ToList() ?? [])
        {
            if (property is OpenApiSchema { OneOf: [_, OpenApiSchemaReference reference] })
                schema.Properties![name] = new OpenApiSchema { Type = JsonSchemaType.Object | JsonSchemaType.Null, AllOf = [reference], Description = property.Description };
        }
    }

    private static Task DescribeOperation(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var policy = metadata.OfType<IAuthorizeData>().FirstOrDefault()?.Policy;
        operation.Responses ??= [];
        if (policy is not null && !metadata.OfType<IAllowAnonymous>().Any())
        {
            operation.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Scheme, context.Document)] = [] }];
            operation.Description = $"{operation.Description}\n\nNeeds: {(policy == Authorization.Policies.AnyKey ? "any valid key" : $"`{policy}`")}.".Trim();
            AddProblems(operation, context, 401, 403, 429, 503);
        }

        // Read as text, so that every wrong value gets the same answer.
        foreach (var limit in operation.Parameters?.OfType<OpenApiParameter>().Where(parameter => parameter.Name == "limit") ?? [])
            limit.Schema = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32", Minimum = "1", Maximum = "200" };

        var takesBody = operation.RequestBody is not null;
        var takesInput = takesBody || operation.Parameters?.Count > 0;
        if (takesInput)
            AddProblems(operation, context, 400);
        if (takesBody)
            AddProblems(operation, context, 413, 415);
        if (operation.Parameters?.Any(parameter => parameter.In == ParameterLocation.Path) == true)
            AddProblems(operation, context, 404);
        switch (operation.OperationId)
        {
            case "CreateKey":
                AddHeaderParameter(operation, "Idempotency-Key", "Makes the call safe to repeat for 24 hours: 1 to 128 of `A-Za-z0-9._-`.");
                AddProblems(operation, context, 409, 422);
                break;
            case "RotateKey":
                AddHeaderParameter(operation, "Idempotency-Key", "Makes the call safe to repeat for 24 hours: 1 to 128 of `A-Za-z0-9._-`.");
                AddHeaderParameter(operation, "If-Match", "Only if the key still has this ETag.");
                AddProblems(operation, context, 409, 412, 422);
                break;
            case "UpdateKey" or "RevokeKey":
                AddHeaderParameter(operation, "If-Match", "Only if the key still has this ETag.");
                AddProblems(operation, context, 409, 412);
                break;
            case "ExportAuditEvents":
                SayContent(operation, AuditExportResult.Lines, AuditExportResult.Table);
                break;
            case "GetAuditPublicKey":
                SayContent(operation, AuditController.Pem);
                break;
            default:
                break;
        }

        return Task.CompletedTask;
    }

    // What is no JSON has no schema; a client takes it as it comes.
    private static void SayContent(OpenApiOperation operation, params string[] types) => operation.Responses!["200"] = new OpenApiResponse
    {
        Description = "OK",
        Content = types.ToDictionary(type => type, _ => new OpenApiMediaType { Schema = new OpenApiSchema { Type = JsonSchemaType.String, Format = "binary" } }),
    };

    private static void AddHeaderParameter(OpenApiOperation operation, string name, string description) =>
        (operation.Parameters ??= []).Add(new OpenApiParameter
        {
            Name = name,
            In = ParameterLocation.Header,
            Description = description,
            Schema = new OpenApiSchema { Type = JsonSchemaType.String },
        });

    private static void AddProblems(OpenApiOperation operation, OpenApiOperationTransformerContext context, params ReadOnlySpan<int> statuses)
    {
        foreach (var status in statuses)
        {
            operation.Responses!.TryAdd(status.ToString(System.Globalization.CultureInfo.InvariantCulture), new OpenApiResponse
            {
                Description = $"A problem: {string.Join(", ", CodesOf(status))}",
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    [ProblemAnswer.ContentType] = new() { Schema = new OpenApiSchemaReference(ProblemSchema, context.Document) },
                },
            });
        }
    }

    private static IEnumerable<string> CodesOf(int status) => typeof(ProblemKind).GetFields()
        .Select(field => field.GetValue(null)).OfType<ProblemKind>()
        .Where(kind => kind.Status == status).Select(kind => kind.Code);

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
