namespace Mira.Containers.Tests;

/// <summary>The container engine with all images that the tests use, as engine.sh gets them.</summary>
internal static class Engine
{
    private static readonly Lazy<Task<(int ExitCode, string Output)>> Prepared = new(() =>
        Shell.RunAsync(RepositoryFiles.Root, RepositoryFiles.At("tests", "Mira.Containers.Tests", "engine.sh")));

    /// <summary>
    /// Without an engine the calling fixture fails in CI, and is skipped on a machine that cannot have one.
    /// </summary>
    public static async Task DemandAsync()
    {
        var (exitCode, output) = await Prepared.Value;
        if (exitCode == 0)
            return;
        if (Environment.GetEnvironmentVariable("CI") is { Length: > 0 })
            Assert.Fail($"Containers are not tested, and CI must test them: {output}");
        Assert.Ignore($"Containers are not tested here: {output}");
    }

    public static async Task<string> DockerAsync(params string[] arguments)
    {
        var (exitCode, output) = await Shell.RunAsync(RepositoryFiles.Root, "docker", arguments);
        Assert.That(exitCode, Is.Zero, $"docker {string.Join(' ', arguments)}: {output}");
        return output.Trim();
    }

    public static Task<string> InspectAsync(string subject, string format) =>
        DockerAsync("inspect", "--format", format, subject);

    /// <summary>
    /// Kills the process from outside, as the kernel does when memory runs out. <c>docker kill</c> would count as a
    /// wish to stop.
    /// </summary>
    public static async Task CrashAsync(string container)
    {
        var process = await InspectAsync(container, "{{.State.Pid}}");
        await DockerAsync(
            "run",
            "--rm",
            "--pid",
            "host",
            "--user",
            "0",
            "--entrypoint",
            "sh",
            "redis:7-alpine",
            "-c",
            $"kill -9 {process}");
    }
}
