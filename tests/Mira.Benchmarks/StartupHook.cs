using System.Globalization;

/// <summary>
/// What the runtime runs before a program whose <c>DOTNET_STARTUP_HOOKS</c> names this assembly; it is found by this
/// name and place. For each line on standard input it collects what is garbage and says on standard output how much is
/// left.
/// </summary>
internal static class StartupHook
{
    public const string Answer = "heap ";

    public static void Initialize() => new Thread(Listen) { IsBackground = true }.Start();

    private static void Listen()
    {
        while (Console.In.ReadLine() is not null)
        {
            for (var pass = 0; pass < 3; pass++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            Console.Out.WriteLine(Answer + GC.GetTotalMemory(forceFullCollection: true).ToString(CultureInfo.InvariantCulture));
        }
    }
}
