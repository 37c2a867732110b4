using System.Globalization;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Mira.Application.Keys;
using Mira.Web.Authorization;
using Mira.Web.Endpoints;
using Mira.Web.Problems;

namespace Mira.Web.OpenApi;

/// <summary>
/// What the document says of an operation beyond what its code shows: who may call it, its headers, its errors and its
/// examples.
/// </summary>
internal static class OperationText
{
    private const string Json = "application/json";

    public static async Task DescribeAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var policy = metadata.OfType<IAllowAnonymous>().Any() ? null : metadata.OfType<IAuthorizeData>().FirstOrDefault()?.Policy;
        operation.Responses ??= [];
        // An empty list: nothing is needed.
        operation.Security = [];
        if (policy is not null)
        {
            operation.Security.Add(new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(OpenApiSetup.Scheme, context.Document)] = [] });
            operation.Description = $"{operation.Description}\n\nNeeds: {(policy == Policies.AnyKey ? "any valid key" : $"`{policy}`")}.".Trim();
        }

        // Read as text, so that every wrong value gets the same answer.
        foreach (var limit in operation.Parameters?.OfType<OpenApiParameter>().Where(parameter => parameter.Name == "limit") ?? [])
            limit.Schema = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32", Minimum = "1", Maximum = "200" };
        await DescribeOneAsync(operation, context, cancellationToken);
        operation.Description ??= operation.Summary;
        SayProblems(operation, context.Document!, OperationProblems.Of(operation, policy, metadata));
        Examples.AddTo(operation);
    }

    /// <summary>Adds an answer for each status the problems have, and puts the answers in order.</summary>
    public static void SayProblems(OpenApiOperation operation, OpenApiDocument document, IEnumerable<ProblemKind> problems, bool hasBody = true)
    {
        foreach (var kinds in problems.GroupBy(problem => problem.Status))
        {
            operation.Responses!.TryAdd(kinds.Key.ToString(CultureInfo.InvariantCulture), new OpenApiResponse
            {
                Description = $"A problem: {string.Join(", ", kinds.Select(kind => kind.Code))}",
                Content = hasBody
                    ? new Dictionary<string, OpenApiMediaType>
                    {
                        [ProblemAnswer.ContentType] = new() { Schema = new OpenApiSchemaReference(OpenApiSetup.ProblemSchema, document) },
                    }
                    : null,
            });
        }

        var sorted = new OpenApiResponses();
        foreach (var (status, response) in operation.Responses!.OrderBy(response => response.Key, StringComparer.Ordinal))
            sorted.Add(status, response);
        operation.Responses = sorted;
    }

    public static OpenApiParameter HeaderParameter(string name, string description) => new()
    {
        Name = name,
        In = ParameterLocation.Header,
        Description = description,
        Schema = new OpenApiSchema { Type = JsonSchemaType.String },
    };

    private static async Task DescribeOneAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        var idempotencyKey = HeaderParameter("Idempotency-Key", "Makes the call safe to repeat for 24 hours: 1 to 128 of `A-Za-z0-9._-`.");
        var ifMatch = HeaderParameter("If-Match", "Only if the key still has this ETag.");
        switch (operation.OperationId)
        {
            case "CreateKey":
                (operation.Parameters ??= []).Add(idempotencyKey);
                break;
            case "RotateKey":
                (operation.Parameters ??= []).Add(idempotencyKey);
                operation.Parameters.Add(ifMatch);
                // The body may be left out; one that is there is an object.
                var body = (OpenApiRequestBody)operation.RequestBody!;
                body.Required = false;
                foreach (var content in body.Content!.Values)
                    content.Schema = content.Schema is { OneOf: [_, OpenApiSchemaReference reference] } ? reference : content.Schema;
                break;
            case "UpdateKey" or "RevokeKey":
                (operation.Parameters ??= []).Add(ifMatch);
                break;
            case "VerifyKey":
                operation.RequestBody = new OpenApiRequestBody
                {
                    Required = true,
                    Content = new Dictionary<string, OpenApiMediaType> { [Json] = new() { Schema = await ReferenceAsync<VerifyKey>(context, cancellationToken) } },
                };
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
    }

    private static async Task<OpenApiSchemaReference> ReferenceAsync<T>(OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        context.Document!.AddComponent<IOpenApiSchema>(typeof(T).Name, await context.GetOrCreateSchemaAsync(typeof(T), null, cancellationToken));
        return new OpenApiSchemaReference(typeof(T).Name, context.Document);
    }

    // What is no JSON has no schema; a client takes it as it comes.
    private static void SayContent(OpenApiOperation operation, params string[] types) => operation.Responses!["200"] = new OpenApiResponse
    {
        Description = "OK",
        Content = types.ToDictionary(type => type, _ => new OpenApiMediaType { Schema = new OpenApiSchema { Type = JsonSchemaType.String, Format = "binary" } }),
    };
}
