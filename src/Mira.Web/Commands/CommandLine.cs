using System.CommandLine;
using FluentValidation;
using Mira.Application.Ledger;
using Mira.Application.Settings;

namespace Mira.Web.Commands;

/// <summary>What the server's binary does beside serving. Exit code 0, or 1 with one clear line.</summary>
public static class CommandLine
{
    /// <summary>The commands, as the host carries them out.</summary>
    public sealed record Actions(
        Func<CancellationToken, Task> Migrate,
        Func<string, string?, CancellationToken, Task> CreateAdmin, Func<CancellationToken, Task> PepperStatus, Func<CancellationToken, Task> CreateTable,
        Func<string, string, bool, CancellationToken, Task<int>> CopyStore, Func<AuditSource, CancellationToken, Task<AuditFinding>> CheckAudit,
        Func<BackupCommand.Request, CancellationToken, Task<BackupCommand.Result>> Backup, Func<RestoreCommand.Request, CancellationToken, Task<RestoreCommand.Result>> Restore);

    /// <summary>The first words of all commands.</summary>
    private static readonly string[] CommandNames = ["migrate", "admin", "pepper", "audit", "airtable", "store", BackupCommand.Name, RestoreCommand.Name, "health", "help"];

    /// <summary>Does this line ask for serving, and for no command?</summary>
    public static bool IsToServe(string[] args) => args is not [{ Length: > 0 } command, ..] || (command[0] == '-' && !IsHelp(command) && command != "--version");

    /// <summary>
    /// A line that serves holds settings alone, each with its value: a switch without one is a mistake, and was to do
    /// something else.
    /// </summary>
    /// <exception cref="SettingException">There is such a switch.</exception>
    public static void DemandSettings(string[] args)
    {
        for (var at = 0; at < args.Length; at++)
        {
            if (args[at].Length == 0 || args[at].Contains('=', StringComparison.Ordinal))
                continue;
            if (!args[at].StartsWith('-'))
                throw new SettingException(args[at], $"is no setting: a command comes first, and a setting begins with --{Suggestion.For(args[at], CommandNames)}");
            if (at + 1 == args.Length || args[at + 1].StartsWith("--", StringComparison.Ordinal))
                throw new SettingException(args[at], $"is no option, and has no value as a setting has; --help lists what there is{Suggestion.For(args[at], ["--help", "--version"])}");
            at++;
        }
    }

    public static async Task<int> RunAsync(string[] args, Actions actions)
    {
        if (args is ["help"] || (args is [var first] && IsHelp(first)))
        {
            await Console.Out.WriteAsync(HelpText.Text);
            return 0;
        }

        var line = Commands(actions).Parse(args);
        if (line.Errors.Count > 0)
            return await FailAsync(line.Errors[0].Message + Suggestion.For(line));

        try
        {
            return await line.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (Exception exception) when (exception is SettingException or StoreUnavailableException or LedgerUnavailableException or OverloadedException)
        {
            return await FailAsync(exception.Message);
        }
        catch (OperationCanceledException)
        {
            return await FailAsync("stopped before it was done");
        }
        catch (ValidationException exception)
        {
            return await FailAsync($"--name {exception.Errors.First().ErrorMessage}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return await FailAsync($"--file cannot be written: {exception.Message}");
        }
    }

    private static RootCommand Commands(Actions actions) => new("Mira serves; beside that it does this:")
    {
        MigrateCommand.Make(actions.Migrate),
        AdminCommand.Make(actions.CreateAdmin),
        PepperCommand.Make(actions.PepperStatus),
        AirtableCommand.Make(actions.CreateTable),
        AuditCommand.Make(actions.CheckAudit),
        StoreCommand.Make(actions.CopyStore),
        BackupCommand.Make(actions.Backup),
        RestoreCommand.Make(actions.Restore),
        HealthCommand.Make(),
    };

    private static bool IsHelp(string word) => word is "--help" or "-h" or "-?" or "/?" or "/h";

    /// <summary>Prints one line to the error output.</summary>
    /// <returns>The exit code.</returns>
    internal static async Task<int> FailAsync(string message)
    {
        await Console.Error.WriteLineAsync($"mira: {message.ReplaceLineEndings(" ")}");
        return 1;
    }
}
