using System.CommandLine;
using Mira.Domain.Ledger;

namespace Mira.Web.Commands;

/// <summary>
/// What is checked, by which keys, and against what was published before; null for what the settings say.
/// </summary>
public sealed record AuditSource(string? Data, string? File, string? PublicKey, string? Anchor);

/// <summary>What the check of a ledger or an export found.</summary>
/// <param name="ChainFault">Null when the ledger is whole.</param>
/// <param name="Rows">What was found of the records of keys; null when there are none to look at.</param>
/// <param name="AreRowsRight">False when one of them is not what Mira wrote.</param>
public sealed record AuditFinding(ChainFault? ChainFault, ChainProof Proof, string? Rows = null, bool AreRowsRight = true);

/// <summary><c>audit verify</c>: checks an export or a ledger with the public key alone.</summary>
public static class AuditCommand
{
    public static Command Make(Func<AuditSource, CancellationToken, Task<AuditFinding>> act)
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
            var (flaw, proof, rows, areRowsRight) = await act(source, cancellationToken);
            if (flaw is not null)
                return await CommandLine.FailAsync(flaw.ToString());
            if (!areRowsRight)
                return await CommandLine.FailAsync(rows!);
            Console.Out.WriteLine(Praise(proof));
            if (rows is not null)
                Console.Out.WriteLine(rows);
            return 0;
        });
        return new Command("audit", "The audit trail") { verify };
    }

    private static string Praise(ChainProof proof) => proof.Proof is { } signed
        ? $"{(proof.IsPart ? "part of a ledger, " : "")}events {proof.First} to {proof.Last.Seq} are whole, signed for at {Rfc3339.Format(signed.At)}"
        : "there is no event yet";
}
