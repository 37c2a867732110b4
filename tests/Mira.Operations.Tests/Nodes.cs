using Mira.Load;

namespace Mira.Operations.Tests;

/// <summary>Starts the service that these tests were built with.</summary>
internal static class Nodes
{
    public static string Binary { get; } = Path.Combine(AppContext.BaseDirectory, "Mira.Web.dll");

    public static Task<OwnNode> StartAsync(params (string Name, string Value)[] settings) =>
        OwnNode.StartAsync(Binary, settings);

    public static void Signal(OwnNode node, string name)
    {
        using var kill = System.Diagnostics.Process.Start("kill", [$"-{name}", $"{node.Process.Id}"]);
        kill.WaitForExit();
    }
}
