using System.Diagnostics;

namespace Mira.Testing;

/// <summary>Runs a command to its end.</summary>
public static class Shell
{
    /// <summary>Returns the exit code, and what the command wrote to both outputs.</summary>
    /// <param name="folder">The folder that the command runs in.</param>
    /// <param name="command">A name on the path, or a path.</param>
    /// <param name="arguments">The arguments, which no shell takes apart.</param>
    public static Task<(int ExitCode, string Output)> RunAsync(string folder, string command, params string[] arguments) =>
        RunAsync(new ProcessStartInfo(command, arguments) { WorkingDirectory = folder });

    /// <summary>Returns the exit code, and what the command wrote to both outputs.</summary>
    /// <param name="start">The command with its folder and its environment. It has nothing to read.</param>
    public static async Task<(int ExitCode, string Output)> RunAsync(ProcessStartInfo start)
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await error);
    }
}
