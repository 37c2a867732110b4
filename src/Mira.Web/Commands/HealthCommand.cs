using System.CommandLine;

namespace Mira.Web.Commands;

/// <summary><c>health</c>: asks a running node whether it is ready.</summary>
public static class HealthCommand
{
    public static Command Make()
    {
        var url = new Option<string?>("--url") { Description = "The address of the node, instead of the one in ASPNETCORE_URLS" };
        var health = new Command("health", "Asks a running node whether it is ready") { url };
        health.SetAction(async (line, cancellationToken) =>
        {
            if (await HealthCheck.AskAsync(line.GetValue(url), cancellationToken) is { } reason)
                return await CommandLine.FailAsync(reason);
            Console.Out.WriteLine("ready");
            return 0;
        });
        return health;
    }
}
