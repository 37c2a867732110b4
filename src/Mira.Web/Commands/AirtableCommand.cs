using System.CommandLine;

namespace Mira.Web.Commands;

/// <summary><c>airtable create-table</c>: makes the table of keys.</summary>
public static class AirtableCommand
{
    public static Command Make(Func<CancellationToken, Task> act)
    {
        var createTable = new Command("create-table", "Makes the table of keys, or the fields it lacks");
        createTable.SetAction((_, cancellationToken) => act(cancellationToken));
        return new Command("airtable", "Airtable as the store") { createTable };
    }

    /// <summary>A line for each thing that was done.</summary>
    public static void Print(IReadOnlyList<string> done)
    {
        foreach (var line in done.DefaultIfEmpty("nothing is missing"))
            Console.Out.WriteLine(line);
    }
}
