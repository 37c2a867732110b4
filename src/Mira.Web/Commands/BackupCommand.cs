using System.CommandLine;
using System.Globalization;
using Mira.Domain.Ledger;

namespace Mira.Web.Commands;

/// <summary><c>backup</c>: one file with the embedded store, made while a node may be running.</summary>
public static class BackupCommand
{
    public const string Name = "backup";

    /// <summary>What is asked for.</summary>
    public sealed record Request(string To, string? PassphraseFile, bool MayReplace);

    /// <summary>What was written.</summary>
    /// <param name="Seq">The last event in it.</param>
    /// <param name="HasSecrets">False when pepper and audit key were left out.</param>
    public sealed record Result(long Seq, DateTimeOffset MadeAt, bool HasSecrets);

    public static Command Make(Func<Request, CancellationToken, Task<Result>> run)
    {
        var to = new Option<string>("--to") { Description = "The file to write (mode 0600)", Required = true };
        var passphrase = new Option<string?>("--passphrase-file") { Description = "The file with the passphrase that wraps pepper and audit key" };
        var replace = new Option<bool>("--replace") { Description = "Writes a new file in the place of one that is there" };
        var backup = new Command(Name, "Backs up the embedded store, also while a node uses it") { to, passphrase, replace };
        backup.SetAction(async (line, cancellationToken) =>
        {
            var request = new Request(line.GetRequiredValue(to), line.GetValue(passphrase), line.GetValue(replace));
            Print(request.To, await run(request, cancellationToken));
        });
        return backup;
    }

    private static void Print(string file, Result made)
    {
        Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{file} holds the store up to event {made.Seq}, as it was at {Rfc3339.Format(made.MadeAt)}"));
        Console.Out.WriteLine(made.HasSecrets
            ? "pepper and audit key are in it, wrapped by the passphrase: without the passphrase the backup cannot be used"
            : "pepper and audit key are NOT in it, and a restore needs both: keep copies of them in another place, or use --passphrase-file");
    }
}
