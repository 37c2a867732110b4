using System.CommandLine;

namespace Mira.Web.Commands;

/// <summary><c>migrate</c>: makes or upgrades the tables of the store.</summary>
public static class MigrateCommand
{
    public static Command Make(Func<CancellationToken, Task> act)
    {
        var migrate = new Command("migrate", "Makes or upgrades the tables of the store, and stops");
        migrate.SetAction((_, cancellationToken) => act(cancellationToken));
        return migrate;
    }

    /// <summary>A line for each migration that was applied.</summary>
    public static void Print(IReadOnlyList<string> applied)
    {
        foreach (var migration in applied)
            Console.Out.WriteLine($"applied {migration}");
        Console.Out.WriteLine(applied.Count == 0 ? "the tables are up to date already" : "the tables are up to date");
    }
}
