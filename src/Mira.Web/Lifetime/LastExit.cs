using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Mira.Web.Lifetime;

/// <summary>
/// Ends this process at once and in order: with its exit code, and without what the platform or a library still does at
/// an exit, which may wait for something that does not answer. What is on the disk stays as a crash would leave it.
/// </summary>
internal static partial class LastExit
{
    public static void Take()
    {
        try
        {
            Exit(Environment.ExitCode);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            using var self = Process.GetCurrentProcess();
            self.Kill();
        }
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);
}
