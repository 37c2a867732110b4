using System.CommandLine;
using FluentValidation;
using MediatR;
using Mira.Application.Admins;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

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
    private static readonly string[] CommandNames = ["migrate", "admin", "pepper", "audit", "airtable", "store", BackupCommand.Name, RestoreCommand.Name, "help"];

    /// <summary>
    /// What is checked, by which keys, and against what was published before; null for what the settings say.
    /// </summary>
    public sealed record AuditSource(string? Data, string? File, string? PublicKey, string? Anchor);

    /// <param name="ChainFault">Null when the ledger is whole.</param>
    /// <param name="Rows">What was found of the records of keys; null when there are none to look at.</param>
    /// <param name="AreRowsRight">False when one of them is not what Mira wrote.</param>
    public sealed record AuditFinding(ChainFault? ChainFault, ChainProof Proof, string? Rows = null, bool AreRowsRight = true);

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

    /// <summary>A line for each migration that was applied.</summary>
    public static void PrintMigrations(IReadOnlyList<string> applied)
    {
        foreach (var migration in applied)
            Console.Out.WriteLine($"applied {migration}");
        Console.Out.WriteLine(applied.Count == 0 ? "the tables are up to date already" : "the tables are up to date");
    }

    /// <summary>Makes an admin key without one, and shows it here when it goes to no file.</summary>
    public static async Task CreateAdminAsync(IServiceProvider services, string name, string? file, CancellationToken cancellationToken)
    {
        await using var scope = services.CreateAsyncScope();
        var created = await scope.ServiceProvider.GetRequiredService<IMediator>()
            .Send(new CreateAdmin(name, file, OnlyFirst: false), cancellationToken);
        Console.Out.WriteLine(created!.Token ?? $"{created.KeyId} is written to {file}");
    }

    /// <summary>
    /// A line for each pepper: its id, what it is, and how many live secrets (or records that are to be signed anew, if
    /// these are more) need it.
    /// </summary>
    public static void PrintPeppers(PepperRing peppers, IReadOnlyDictionary<string, int> counts)
    {
        foreach (var pepper in peppers.All)
            Console.Out.WriteLine($"{pepper.Id} {(pepper == peppers.Current ? "current" : "retired")} {counts.GetValueOrDefault(pepper.Id)}");
        foreach (var (id, count) in counts.Where(pair => peppers.Find(pair.Key) is null))
            Console.Out.WriteLine($"{id} unlisted {count}");
    }

    /// <summary>A line for each thing that was done.</summary>
    public static void PrintDone(IReadOnlyList<string> done)
    {
        foreach (var line in done.DefaultIfEmpty("nothing is missing"))
            Console.Out.WriteLine(line);
    }

    /// <summary>A line for each key as it is done, and one for all; names are nobody's business here.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> PrintCopiesAsync(IAsyncEnumerable<CopiedKey> keys)
    {
        var counts = new SortedDictionary<CopyResult, int>();
        await foreach (var key in keys)
        {
            counts[key.Result] = counts.GetValueOrDefault(key.Result) + 1;
            Console.Out.WriteLine($"{key.KeyId.Value} {Word(key.Result)}{(key.Problem is null ? "" : $": {key.Problem}")}");
        }

        Console.Out.WriteLine(counts.Count == 0 ? "there is no key" : string.Join(", ", counts.Select(count => $"{count.Value} {Word(count.Key)}")));
        var left = counts.GetValueOrDefault(CopyResult.Differs) + counts.GetValueOrDefault(CopyResult.Failed);
        return left == 0 ? 0 : await FailAsync($"{left} of {counts.Values.Sum()} keys are not in the target as they are in the source; their lines say why");
    }

    private static string Word(CopyResult result) => result == CopyResult.WouldCopy ? "would copy" : result.ToString().ToLowerInvariant();

    private static RootCommand Commands(Actions actions)
    {
        var migrate = new Command("migrate", "Makes or upgrades the tables of the store, and stops");
        migrate.SetAction((_, cancellationToken) => actions.Migrate(cancellationToken));
        var name = new Option<string>("--name") { Description = "What people call the new key", Required = true };
        var file = new Option<string?>("--file") { Description = "Where the token is written (mode 0600) instead of shown" };
        var create = new Command("create", "Makes an admin key: the way back in when all are lost") { name, file };
        create.SetAction((line, cancellationToken) => actions.CreateAdmin(line.GetRequiredValue(name), line.GetValue(file), cancellationToken));
        var status = new Command("status", "Counts the live secrets under each pepper");
        status.SetAction((_, cancellationToken) => actions.PepperStatus(cancellationToken));
        var createTable = new Command("create-table", "Makes the table of keys, or the fields it lacks");
        createTable.SetAction((_, cancellationToken) => actions.CreateTable(cancellationToken));
        var from = new Option<string>("--from") { Description = "sqlite, sqlite:DIR, postgres or airtable", Required = true };
        var to = new Option<string>("--to") { Description = "The same", Required = true };
        var dryRun = new Option<bool>("--dry-run") { Description = "Says what would be done, and does nothing" };
        var copy = new Command("copy", "Copies keys with their ids and digests, so that no token changes") { from, to, dryRun };
        copy.SetAction((line, cancellationToken) => actions.CopyStore(line.GetRequiredValue(from), line.GetRequiredValue(to), line.GetValue(dryRun), cancellationToken));
        return new RootCommand("Mira serves; beside that it does this:")
        {
            migrate,
            new Command("admin", "Admin keys") { create },
            new Command("pepper", "Peppers") { status },
            new Command("airtable", "Airtable as the store") { createTable },
            new Command("audit", "The audit trail") { VerifyCommand(actions) },
            new Command("store", "Stores") { copy },
            BackupCommand.Create(actions.Backup),
            RestoreCommand.Create(actions.Restore),
        };
    }

    private static Command VerifyCommand(Actions actions)
    {
        var data = new Option<string?>("--data") { Description = "The data folder to check, beside a service or without one" };
        var file = new Option<string?>("--file") { Description = "The export to check" };
        var key = new Option<string?>("--public-key") { Description = "PEM with the key that is believed, or several" };
        var anchor = new Option<string?>("--anchor") { Description = "Checkpoints published before: a cut end or an older copy shows by them" };
        var verify = new Command("verify", "Checks an export or a ledger with the public key alone") { data, file, key, anchor };
        verify.Validators.Add(line =>
        {
            if (line.GetValue(data) is not null && line.GetValue(file) is not null)
                line.AddError("--data and --file exclude each other");
        });
        verify.SetAction(async (line, cancellationToken) =>
        {
            var source = new AuditSource(line.GetValue(data), line.GetValue(file), line.GetValue(key), line.GetValue(anchor));
            var (flaw, proof, rows, areRowsRight) = await actions.CheckAudit(source, cancellationToken);
            if (flaw is not null)
                return await FailAsync(flaw.ToString());
            if (!areRowsRight)
                return await FailAsync(rows!);
            Console.Out.WriteLine(Praise(proof));
            if (rows is not null)
                Console.Out.WriteLine(rows);
            return 0;
        });
        return verify;
    }

    private static bool IsHelp(string word) => word is "--help" or "-h" or "-?" or "/?" or "/h";

    private static string Praise(ChainProof proof) => proof.Proof is { } signed
        ? $"{(proof.IsPart ? "part of a ledger, " : "")}events {proof.First} to {proof.Last.Seq} are whole, signed for at {Rfc3339.Format(signed.At)}"
        : "there is no event yet";

    private static async Task<int> FailAsync(string message)
    {
        await Console.Error.WriteLineAsync($"mira: {message.ReplaceLineEndings(" ")}");
        return 1;
    }
}
