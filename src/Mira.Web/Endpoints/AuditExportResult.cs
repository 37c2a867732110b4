using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Net.Http.Headers;
using Mira.Application.Audit;
using Mira.Domain.Ledger;
using Mira.Web.Calls;

namespace Mira.Web.Endpoints;

/// <summary>
/// Writes an export as it is read: no more of it than a page is ever in memory, and it ends with its reader.
/// </summary>
internal sealed class AuditExportResult(AuditExport export, string format) : IActionResult
{
    public const string Lines = "application/x-ndjson";
    public const string Table = "text/csv";

    private const int FlushSize = 32 << 10;

    /// <summary>A table only for who asks for one more than for anything else.</summary>
    public static string FormatFor(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted))
            return Lines;

        var table = RequestRules.Rank(accepted, Table);
        var lines = RequestRules.Rank(accepted, Lines);
        var json = RequestRules.Rank(accepted, "application/json");
        return table.CompareTo(lines) > 0 && table.CompareTo(json) > 0 ? Table : Lines;
    }

    public async Task ExecuteResultAsync(ActionContext context)
    {
        var response = context.HttpContext.Response;
        response.ContentType = format == Table ? $"{Table}; charset=utf-8; header=present" : Lines;
        var writer = response.BodyWriter;
        var isTable = format == Table;
        if (isTable)
            Write(writer, AuditCsv.Header);
        var unflushed = 0;
        await foreach (var line in export.Lines.WithCancellation(context.HttpContext.RequestAborted))
        {
            unflushed += isTable ? WriteRow(writer, line) : Write(writer, line.Event is { } entry ? ExportFile.LineOf(entry) : line.Checkpoint!.ToLine());
            if (unflushed < FlushSize)
                continue;

            unflushed = 0;
            // A slow reader is waited for here; one that is gone ends it.
            if ((await writer.FlushAsync(context.HttpContext.RequestAborted)).IsCompleted)
                return;
        }

        await writer.FlushAsync(context.HttpContext.RequestAborted);
    }

    private static int WriteRow(PipeWriter writer, ExportedLine line) => line.Event is { } entry ? Write(writer, AuditCsv.Row(entry)) : 0;

    private static int Write(PipeWriter writer, string line) => (int)Encoding.UTF8.GetBytes(line, writer) + (int)Encoding.UTF8.GetBytes("\n", writer);
}

/// <summary>
/// An event as a row for people (RFC 4180). A cell that a spreadsheet would take for a formula begins with an
/// apostrophe (OWASP, CSV injection).
/// </summary>
internal static class AuditCsv
{
    public const string Header =
        "seq,at,type,actor_key_id,actor_name,actor_role,actor_ip,actor_user_agent,subject,outcome,reason,correlation_id,count,first_at,last_at,changes,hash\r";

    private static readonly SearchValues<char> Special = SearchValues.Create(",\"\r\n");

    private static readonly string[] ActorFields = ["key_id", "name", "role", "ip", "user_agent"];
    private static readonly string[] Fields = ["subject", "outcome", "reason", "correlation_id", "count", "first_at", "last_at", "changes"];

    public static string Row(LedgerEvent entry)
    {
        using var body = JsonDocument.Parse(entry.Body);
        var actor = body.RootElement.GetProperty("actor");
        IEnumerable<string> cells =
        [
            entry.Seq.ToString(CultureInfo.InvariantCulture), Rfc3339.Format(entry.At), entry.Type,
            .. ActorFields.Select(field => Text(actor.GetProperty(field))),
            .. Fields.Select(field => Text(body.RootElement.GetProperty(field))),
            entry.Hash,
        ];
        return string.Join(',', cells.Select(Cell)) + "\r";
    }

    private static string Text(JsonElement value) => value.ValueKind == JsonValueKind.Null ? "" : value.ToString();

    private static string Cell(string text)
    {
        if (text is ['=' or '+' or '-' or '@' or '\t' or '\r', ..])
            text = $"'{text}";
        return text.AsSpan().ContainsAny(Special) ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }
}
