using System.Diagnostics;

namespace Mira.Load;

/// <summary>What the operating system says of a process at one moment.</summary>
public sealed record ProcessSample(TimeSpan At, long Memory, int Files, int Threads)
{
    public static ProcessSample? Of(Process process, TimeSpan at)
    {
        try
        {
            process.Refresh();
            var files = Directory.Exists($"/proc/{process.Id}/fd")
                ? Directory.GetFileSystemEntries($"/proc/{process.Id}/fd").Length : process.HandleCount;
            return new ProcessSample(at, process.WorkingSet64, files, process.Threads.Count);
        }
        catch (Exception exception) when (
            exception is InvalidOperationException or IOException or System.ComponentModel.Win32Exception)
        {
            // The process ended.
            return null;
        }
    }
}
