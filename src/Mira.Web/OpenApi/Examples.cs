using System.Text.Json.Nodes;
using Microsoft.OpenApi;

namespace Mira.Web.OpenApi;

/// <summary>
/// An example for each operation that takes or answers JSON. They are about one key, from the call that makes it to the
/// one that revokes it, and a test makes each call and holds the answer.
/// </summary>
internal static class Examples
{
    public const string KeyId = "mira_key_4fZq0TbLw9Xe";

    private const string Json = "application/json";

    // Cut short: nothing that looks like a key belongs into a document.
    private const string Token = $"{KeyId}_…";

    private const string Key =
        $$"""
        {
          "key_id": "{{KeyId}}", "name": "ci-pipeline", "role": "operator", "status": "active", "owner": "team-payments",
          "permissions": ["documents:read", "keys:read", "keys:verify", "webhooks:execute"], "metadata": { "environment": "production" },
          "rate_limit_per_minute": null, "allowed_ips": [], "created_at": "2030-01-01T12:00:00.000Z", "created_by": "mira_key_8cWm2RnYk5Jd",
          "expires_at": "2030-04-01T12:00:00.000Z", "last_used_at": null, "rotated_at": null, "revoked_at": null, "revoked_by": null,
          "revoked_reason": null, "version": 1,
          "secrets": [{ "version": 1, "created_at": "2030-01-01T12:00:00.000Z", "expires_at": "2030-04-01T12:00:00.000Z", "valid_until": null, "last_used_at": null }]
        }
        """;

    private const string Changed =
        $$"""
        {
          "key_id": "{{KeyId}}", "name": "ci-pipeline 2", "role": "operator", "status": "active", "owner": "team-payments",
          "permissions": ["documents:read", "keys:read", "keys:verify", "webhooks:execute"], "metadata": {}, "rate_limit_per_minute": 1000, "allowed_ips": [],
          "created_at": "2030-01-01T12:00:00.000Z", "created_by": "mira_key_8cWm2RnYk5Jd", "expires_at": "2030-04-01T12:00:00.000Z",
          "last_used_at": "2030-01-01T12:30:00.000Z", "rotated_at": null, "revoked_at": null, "revoked_by": null, "revoked_reason": null, "version": 2,
          "secrets": [{ "version": 1, "created_at": "2030-01-01T12:00:00.000Z", "expires_at": "2030-04-01T12:00:00.000Z", "valid_until": null, "last_used_at": null }]
        }
        """;

    private const string Event =
        $$"""
        {
          "v": 1, "seq": 4, "at": "2030-01-02T12:00:00.000Z", "type": "key.rotated",
          "actor": { "key_id": "mira_key_8cWm2RnYk5Jd", "name": "first admin", "role": "admin", "ip": "127.0.0.1", "user_agent": "curl/8.5.0" },
          "subject": "{{KeyId}}", "outcome": "success", "reason": null, "correlation_id": "k3v9q0x7b2n4m6p8r1t5", "count": null, "first_at": null, "last_at": null,
          "changes": {
            "expires_at": { "from": "2030-04-01T12:00:00.000Z", "to": "2030-04-02T12:00:00.000Z" },
            "previous_valid_until": { "from": null, "to": "2030-01-02T13:00:00.000Z" }, "secret_version": { "from": 1, "to": 2 }
          },
          "prev_hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
          "hash": "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"
        }
        """;

    private const string Limit = """{ "limit": 200, "remaining": 199, "reset_at": "2030-01-01T12:01:00.000Z" }""";

    /// <summary>Operation → values of parameters; what is not named is left out.</summary>
    private static readonly Dictionary<string, (string Name, JsonNode Value)[]> Parameters = new()
    {
        ["ListKeys"] = [("owner", "team-payments"), ("limit", 50)],
        ["GetKey"] = [("key_id", KeyId)],
        ["UpdateKey"] = [("key_id", KeyId), ("If-Match", "\"1\"")],
        ["RotateKey"] = [("key_id", KeyId), ("Idempotency-Key", "rotate-2030-01-02")],
        ["RevokeKey"] = [("key_id", KeyId), ("reason", "found in a public repository")],
        ["CreateKey"] = [("Idempotency-Key", "create-ci-pipeline")],
        ["ListAuditEvents"] = [("type", "key.rotated"), ("key_id", KeyId), ("limit", 50)],
        ["ExportAuditEvents"] = [("from", "2020-01-01T00:00:00Z"), ("to", "2040-01-01T00:00:00Z")],
    };

    private static readonly Dictionary<string, string> Requests = new()
    {
        ["CreateKey"] =
            """{ "name": "ci-pipeline", "role": "operator", "expiry_days": 90, "owner": "team-payments", "permissions": ["documents:read"], "metadata": { "environment": "production" } }""",
        ["UpdateKey"] = """{ "name": "ci-pipeline 2", "rate_limit_per_minute": 1000, "metadata": null }""",
        ["RotateKey"] = """{ "grace_minutes": 60 }""",
        ["VerifyKey"] = $$"""{ "api_key": "{{Token}}", "permissions": ["documents:read"], "ip": "10.1.2.3", "cost": 1 }""",
    };

    private static readonly Dictionary<string, string> Answers = new()
    {
        ["CreateKey"] =
            $$"""
            {
              "api_key": "{{Token}}", "key_id": "{{KeyId}}", "name": "ci-pipeline", "role": "operator", "expires_at": "2030-04-01T12:00:00.000Z",
              "created_at": "2030-01-01T12:00:00.000Z", "message": "Store this API key now: it is shown only once."
            }
            """,
        ["UpdateKey"] = Changed,
        ["RotateKey"] =
            $$"""
            {
              "api_key": "{{Token}}", "key_id": "{{KeyId}}", "version": 2, "role": "operator", "expires_at": "2030-04-02T12:00:00.000Z",
              "previous_valid_until": "2030-01-02T13:00:00.000Z",
              "message": "Store this API key now: it is shown only once. The previous one works until previous_valid_until."
            }
            """,
        ["RevokeKey"] = $$"""{ "message": "The key is revoked.", "key_id": "{{KeyId}}", "revoked_at": "2030-01-03T12:00:00.000Z" }""",
        ["ListAuditEvents"] = $$"""{ "events": [{{Event}}], "next_cursor": null }""",
        ["ListKeys"] = $$"""{ "keys": [{{Key}}], "next_cursor": null }""",
        ["GetKey"] = Key,
        ["VerifyKey"] =
            $$"""
            {
              "valid": true, "code": "valid", "key_id": "{{KeyId}}", "name": "ci-pipeline", "role": "operator", "owner": "team-payments",
              "permissions": ["documents:read", "keys:read", "keys:verify", "webhooks:execute"], "metadata": { "environment": "production" },
              "expires_at": "2030-04-01T12:00:00.000Z", "rate_limit": {{Limit}}
            }
            """,
        ["ValidateKey"] =
            $$"""
            {
              "valid": true, "key_id": "{{KeyId}}", "name": "ci-pipeline", "role": "operator",
              "permissions": ["documents:read", "keys:read", "keys:verify", "webhooks:execute"], "expires_at": "2030-04-01T12:00:00.000Z", "status": "active",
              "rate_limit": {{Limit}}
            }
            """,
        ["GetHealth"] = """{ "status": "healthy", "details": null }""",
        ["GetLiveness"] = """{ "status": "healthy", "details": null }""",
        ["GetReadiness"] = """{ "status": "healthy", "details": null }""",
        ["GetCacheStats"] =
            """
            {
              "hit_rate": 0.98, "memory": { "entries": 120, "hits": 49000, "misses": 1000, "hit_rate": 0.98 },
              "redis": { "enabled": false, "available": false, "hits": 0, "misses": 0, "hit_rate": 0 }, "staleness_seconds": 0.2
            }
            """,
    };

    public static void AddTo(OpenApiOperation operation)
    {
        var id = operation.OperationId!;
        foreach (var (name, value) in Parameters.GetValueOrDefault(id, []))
            operation.Parameters!.OfType<OpenApiParameter>().Single(parameter => parameter.Name == name).Example = value.DeepClone();
        if (Requests.TryGetValue(id, out var request))
            operation.RequestBody!.Content![Json].Example = JsonNode.Parse(request);
        if (Answers.TryGetValue(id, out var answer))
            operation.Responses!.First(response => response.Key[0] == '2').Value.Content![Json].Example = JsonNode.Parse(answer);
    }
}
