using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Mira.Domain.Ledger;
using Mira.Web.Requests;

namespace Mira.Web.Logging;

/// <summary>Writes what the platform and the service log as lines that a caller cannot break.</summary>
public abstract class LineFormatter(string name, TimeProvider clock, CurrentRequest current) : ConsoleFormatter(name)
{
    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var line = new LogLine(clock.GetUtcNow(), logEntry.LogLevel, logEntry.Category, logEntry.Formatter(logEntry.State, logEntry.Exception))
        {
            Exception = logEntry.Exception?.ToString(),
            Checkpoint = (logEntry.State as IReadOnlyList<KeyValuePair<string, object?>>)?.Select(field => field.Value).OfType<Checkpoint>().FirstOrDefault(),
        };
        textWriter.WriteLine(Format(line.Of(current.Context)));
    }

    protected abstract string Format(LogLine line);
}

/// <summary>One JSON object a line.</summary>
public sealed class JsonLineFormatter(TimeProvider clock, CurrentRequest current) : LineFormatter(FormatterName, clock, current)
{
    public const string FormatterName = "mira-json";

    protected override string Format(LogLine line) => line.ToJson();
}

/// <summary>For people.</summary>
public sealed class TextLineFormatter(TimeProvider clock, CurrentRequest current) : LineFormatter(FormatterName, clock, current)
{
    public const string FormatterName = "mira-text";

    protected override string Format(LogLine line) => line.ToText();
}
