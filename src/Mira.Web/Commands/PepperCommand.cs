using System.CommandLine;
using Mira.Domain.Tokens;

namespace Mira.Web.Commands;

/// <summary><c>pepper status</c>: counts what each pepper still protects.</summary>
public static class PepperCommand
{
    public static Command Make(Func<CancellationToken, Task> act)
    {
        var status = new Command("status", "Counts the live secrets under each pepper");
        status.SetAction((_, cancellationToken) => act(cancellationToken));
        return new Command("pepper", "Peppers") { status };
    }

    /// <summary>
    /// A line for each pepper: its id, what it is, and how many live secrets (or records that are to be signed anew, if
    /// these are more) need it.
    /// </summary>
    public static void Print(PepperRing peppers, IReadOnlyDictionary<string, int> counts)
    {
        foreach (var pepper in peppers.All)
            Console.Out.WriteLine($"{pepper.Id} {(pepper == peppers.Current ? "current" : "retired")} {counts.GetValueOrDefault(pepper.Id)}");
        foreach (var (id, count) in counts.Where(pair => peppers.Find(pair.Key) is null))
            Console.Out.WriteLine($"{id} unlisted {count}");
    }
}
