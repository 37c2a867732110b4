using System.CommandLine;
using System.Globalization;
using Mira.Domain.Ledger;

namespace Mira.Web.Commands;

/// <summary><c>restore</c>: a backup becomes the store of an empty data folder.</summary>
public static class RestoreCommand
{
    public const string Name = "restore";

    /// <summary>What is asked for.</summary>
    public sealed record Request(string From, string? PassphraseFile, string? Anchor, string? Export);

    /// <summary>What was restored.</summary>
    /// <param name="Seq">The last event in it.</param>
    /// <param name="Fault">Why the ledger is not whole; null when it is.</param>
    /// <param name="Rows">What is to be known about the rows of keys; null when there is nothing.</param>
    /// <param name="IsOlder">True when the next start upgrades the store.</param>
    /// <param name="KnownUpTo">The last event that an anchor or an export knows; null without one.</param>
    /// <param name="Lost">A line for each change of a key that an export knows and the backup does not.</param>
    /// <param name="RetiredPeppers">The file with retired peppers; null when there are none.</param>
    public sealed record Result(
        long Seq, DateTimeOffset MadeAt, string Version, string Folder, string? Fault, string? Rows, bool IsOlder, long? KnownUpTo,
        IReadOnlyList<string> Lost, string? RetiredPeppers);

    public static Command Make(Func<Request, CancellationToken, Task<Result>> run)
    {
        var from = new Option<string>("--from") { Description = "The file that backup has written", Required = true };
        var passphrase = new Option<string?>("--passphrase-file") { Description = "The file with the passphrase of the backup" };
        var anchor = new Option<string?>("--anchor") { Description = "Checkpoints published before: they name the events that are lost" };
        var export = new Option<string?>("--export") { Description = "An export of the old ledger: it names the changes of keys that are lost" };
        var restore = new Command(Name, "Restores a backup into an empty data folder") { from, passphrase, anchor, export };
        restore.SetAction(async (line, cancellationToken) =>
        {
            var request = new Request(line.GetRequiredValue(from), line.GetValue(passphrase), line.GetValue(anchor), line.GetValue(export));
            var restored = await run(request, cancellationToken);
            foreach (var text in Lines(restored))
                Console.Out.WriteLine(text);
        });
        return restore;
    }

    private static IEnumerable<string> Lines(Result restored)
    {
        var seq = restored.Seq.ToString(CultureInfo.InvariantCulture);
        yield return $"{restored.Folder} holds the store up to event {seq}, as it was at {Rfc3339.Format(restored.MadeAt)} (Mira {restored.Version})";
        yield return restored switch
        {
            { IsOlder: true } => "the store is of an older version: the next start upgrades it, and `audit verify` checks it then",
            { Fault: { } fault } => $"the audit trail is NOT whole: {fault}",
            _ => $"the audit trail is whole up to event {seq}",
        };
        if (restored.Rows is { } rows)
            yield return rows;
        yield return Lost(restored.Seq, restored.KnownUpTo);
        foreach (var change in restored.Lost)
            yield return $"lost: {change}";
        if (restored.RetiredPeppers is { } retired)
            yield return $"next: give the content of {retired} as MIRA_PEPPER_RETIRED";
        yield return "next: keep the old data folder away from any node, and start Mira; the start records integrity.violation (ledger_replaced)";
        yield return "next: revoke again what was revoked or rotated since then: those tokens work again";
    }

    private static string Lost(long seq, long? knownUpTo) => knownUpTo switch
    {
        { } known when known > seq => string.Create(CultureInfo.InvariantCulture, $"lost: events {seq + 1} to {known} at least"),
        { } => "lost: no event that was published",
        _ => string.Create(CultureInfo.InvariantCulture, $"lost: all that was changed after event {seq}; --anchor or --export would name it"),
    };
}
