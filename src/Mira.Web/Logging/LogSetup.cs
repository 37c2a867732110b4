using Microsoft.Extensions.Logging.Console;
using Mira.Application.Metrics;
using Mira.Application.Settings;

namespace Mira.Web.Logging;

/// <summary><c>LOG_LEVEL</c>, <c>LOG_FORMAT</c> and <c>LOG_REQUESTS</c>.</summary>
public static class LogSetup
{
    private static readonly Dictionary<string, LogLevel> Levels = new(StringComparer.OrdinalIgnoreCase)
    {
        ["TRACE"] = LogLevel.Trace,
        ["DEBUG"] = LogLevel.Debug,
        ["INFO"] = LogLevel.Information,
        ["INFORMATION"] = LogLevel.Information,
        ["WARN"] = LogLevel.Warning,
        ["WARNING"] = LogLevel.Warning,
        ["ERROR"] = LogLevel.Error,
        ["CRITICAL"] = LogLevel.Critical,
    };

    public static void Apply(ILoggingBuilder logging, SettingReader settings)
    {
        var level = Levels[settings.Choice("LOG_LEVEL", "Mira:Log:Level", "INFO", Levels.Keys)];
        var format = new LogFormat(settings.Choice("LOG_FORMAT", "Mira:Log:Format", Console.IsOutputRedirected ? "json" : "text", "json", "text") == "json");
        logging.ClearProviders();
        logging.AddConsole();
        logging.AddConsoleFormatter<JsonLineFormatter, ConsoleFormatterOptions>();
        logging.AddConsoleFormatter<TextLineFormatter, ConsoleFormatterOptions>();
        logging.Services.Configure<ConsoleLoggerOptions>(console =>
        {
            console.FormatterName = format.IsJson ? JsonLineFormatter.FormatterName : TextLineFormatter.FormatterName;
            // Whoever reads the output may stand still: no call waits for that. The console says how many lines it left
            // out.
            console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
        });
        if (settings.Truth("LOG_REQUESTS", "Mira:Log:Requests", false))
        {
            logging.Services.AddSingleton(format);
            logging.Services.AddSingleton<RequestLog>();
            logging.Services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<RequestLog>());
            logging.Services.AddHostedService(provider => provider.GetRequiredService<RequestLog>());
        }

        logging.SetMinimumLevel(level);
        // At lower levels the platform logs addresses with their queries, and queries may hold what should never have
        // been put there.
        var platform = level > LogLevel.Warning ? level : LogLevel.Warning;
        logging.AddFilter("Microsoft", platform);
        logging.AddFilter("System", platform);
        // On a terminal the greeting says the same once more, and better.
        logging.AddFilter("Microsoft.Hosting.Lifetime", Console.IsOutputRedirected || Console.IsErrorRedirected ? level : platform);
        // StartNotices says it at the start, in one line; the library would say it in the middle of the first call.
        if (settings.Text(StartNotices.LicenseSetting, StartNotices.LicensePath) is null)
            logging.AddFilter(StartNotices.LicenseCategory, LogLevel.None);
        // While it may log, the platform makes an activity for each request; traces are asked for by who listens to
        // them.
        logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        // The base class writes a line for every refused call.
        logging.AddFilter("Mira.Web.Authentication.ApiKeyAuthenticationHandler", platform);
        // A start that is refused is said in one line on standard error, by Program; all of it shows at DEBUG.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", level <= LogLevel.Debug ? LogLevel.Error : LogLevel.Critical);
        // The exceptions they log reach the one place that answers and logs them.
        logging.AddFilter("Microsoft.EntityFrameworkCore", LogLevel.None);
        logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Error);
    }
}

/// <summary><c>LOG_FORMAT</c>.</summary>
/// <param name="IsJson">Else it is text.</param>
public sealed record LogFormat(bool IsJson);
