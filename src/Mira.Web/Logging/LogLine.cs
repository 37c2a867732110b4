using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mira.Domain.Ledger;
using Mira.Web.Authentication;
using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Logging;

/// <summary>
/// One line of the log, as JSON for collectors or as text for people. Whatever a caller sends is escaped in both: it
/// can neither end the line nor begin another one, nor colour it, nor turn its direction.
/// </summary>
public readonly record struct LogLine(DateTimeOffset Time, LogLevel Level, string Category, string Message)
{
    private static readonly JsonWriterOptions Ascii = new() { Encoder = JavaScriptEncoder.Default };

    public string? CorrelationId { get; init; }

    /// <summary>What a problem that the call ended with has too.</summary>
    public string? TraceId { get; init; }

    public string? KeyId { get; init; }

    public string? Exception { get; init; }

    /// <summary>What the request was, when the line is about one.</summary>
    public ServedRequest? Request { get; init; }

    /// <summary>In fields, so that a copy of the log serves as an anchor.</summary>
    public Checkpoint? Checkpoint { get; init; }

    /// <summary>As it belongs to the request that runs, if one does.</summary>
    public LogLine Of(HttpContext? context) => this with
    {
        CorrelationId = context is null ? null : CorrelationMiddleware.IdOf(context),
        KeyId = (context?.User as ApiKeyPrincipal)?.Key.Id.Value,
        TraceId = context is null ? Activity.Current?.TraceId.ToHexString() : ProblemAnswer.TraceIdOf(context),
    };

    public string ToJson()
    {
        using var line = new MemoryStream();
        using (var json = new Utf8JsonWriter(line, Ascii))
        {
            json.WriteStartObject();
            json.WriteString("timestamp", Rfc3339.Format(Time));
            json.WriteString("level", NameOf(Level));
            json.WriteString("category", Category);
            json.WriteString("message", Message);
            foreach (var (name, value) in Context())
                json.WriteString(name, value);
            if (Request is { } request)
            {
                json.WriteString("method", request.Method);
                json.WriteString("path", request.Path);
                json.WriteNumber("status", request.Status);
                json.WriteNumber("duration_ms", Math.Round(request.Duration.TotalMilliseconds, 3));
            }

            if (Checkpoint is not null)
                Write(json, Checkpoint);
            if (Exception is not null)
                json.WriteString("exception", Exception);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(line.GetBuffer(), 0, (int)line.Length);
    }

    public string ToText()
    {
        var line = new StringBuilder();
        line.Append(ShortNameOf(Level)).Append(' ').Append(Rfc3339.Format(Time)).Append(' ').Append(Category).Append(": ");
        Append(line, Message);
        if (Request is { } request)
            line.Append(CultureInfo.InvariantCulture, $" in {request.Duration.TotalMilliseconds:0.000} ms");
        foreach (var (name, value) in Context())
            line.Append(' ').Append(name).Append('=').Append(value);
        if (Exception is not null)
            Append(line.Append(" exception="), Exception);
        return line.ToString();
    }

    private static void Write(Utf8JsonWriter json, Checkpoint checkpoint)
    {
        json.WriteStartObject("checkpoint");
        json.WriteString("at", Rfc3339.Format(checkpoint.At));
        json.WriteString("hash", checkpoint.Hash);
        json.WriteNumber("seq", checkpoint.Seq);
        json.WriteString("signature", checkpoint.Signature);
        json.WriteEndObject();
    }

    // None of them is text of a caller's: a correlation id is taken from one only if it is letters, digits, dots,
    // dashes and underscores.
    private IEnumerable<(string Name, string Value)> Context()
    {
        if (CorrelationId is not null)
            yield return ("correlation_id", CorrelationId);
        if (TraceId is not null)
            yield return ("trace_id", TraceId);
        if (KeyId is not null)
            yield return ("key_id", KeyId);
    }

    private static void Append(StringBuilder line, string text)
    {
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value == '\\')
                line.Append(@"\\");
            else if (rune.Value == '\n')
                line.Append(@"\n");
            else if (IsShown(rune))
                line.Append(rune.ToString());
            else
                line.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:x}}}");
        }
    }

    private static bool IsShown(Rune rune) => Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);

    private static string NameOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "error",
        _ => "critical",
    };

    private static string ShortNameOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "trce",
        LogLevel.Debug => "dbug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "fail",
        _ => "crit",
    };
}

/// <param name="Path">Without its query.</param>
public sealed record ServedRequest(string Method, string Path, int Status, TimeSpan Duration);
