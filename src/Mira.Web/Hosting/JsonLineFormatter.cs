using System.Diagnostics;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Mira.Domain.Ledger;

namespace Mira.Web.Hosting;

/// <summary>One JSON object a line: timestamp, level, category, message, and the request it belongs to. Text is escaped, so nothing a caller sends can begin a new line.</summary>
public sealed class JsonLineFormatter(TimeProvider clock, CurrentRequest request) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "mira-json";

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        using var line = new MemoryStream();
        using (var json = new Utf8JsonWriter(line, new JsonWriterOptions { Encoder = JavaScriptEncoder.Default }))
        {
            json.WriteStartObject();
            json.WriteString("timestamp", Rfc3339.Format(clock.GetUtcNow()));
            json.WriteString("level", NameOf(logEntry.LogLevel));
            json.WriteString("category", logEntry.Category);
            json.WriteString("message", logEntry.Formatter(logEntry.State, logEntry.Exception));
            if ((logEntry.State as IReadOnlyList<KeyValuePair<string, object?>>)?.Select(field => field.Value).OfType<Checkpoint>().FirstOrDefault() is { } checkpoint)
                WriteCheckpoint(json, checkpoint);
            if (request.Context is { } context)
                json.WriteString("correlation_id", CorrelationMiddleware.IdOf(context));
            if (Activity.Current is { } activity)
                json.WriteString("trace_id", activity.TraceId.ToHexString());
            if (logEntry.Exception is { } exception)
                json.WriteString("exception", exception.ToString());
            json.WriteEndObject();
        }

        textWriter.WriteLine(System.Text.Encoding.UTF8.GetString(line.GetBuffer(), 0, (int)line.Length));
    }

    // In fields, so that a copy of the log serves as an anchor.
    private static void WriteCheckpoint(Utf8JsonWriter json, Checkpoint checkpoint)
    {
        json.WriteStartObject("checkpoint");
        json.WriteString("at", Rfc3339.Format(checkpoint.At));
        json.WriteString("hash", checkpoint.Hash);
        json.WriteNumber("seq", checkpoint.Seq);
        json.WriteString("signature", checkpoint.Signature);
        json.WriteEndObject();
    }

    private static string NameOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "error",
        _ => "critical",
    };
}
