using System.Diagnostics;
using System.Text;

using Mira.TestServers;
namespace Mira.Web.Tests.Hosts;

/// <summary>
/// The binary as a process of its own, as a user starts it: for what only a process shows, like its exit code and its
/// death.
/// </summary>
internal sealed class MiraProcess : IAsyncDisposable
{
    private static readonly string Binary = Path.Combine(AppContext.BaseDirectory, "Mira.Web.dll");
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();

    private MiraProcess(Process process, Uri address)
    {
        Process = process;
        Address = address;
    }

    public Process Process { get; }

    public Uri Address { get; }

    public string Output => Read(_output);

    public string Error => Read(_error);

    /// <summary>Starts serving on a free loopback port, and returns at once.</summary>
    public static MiraProcess Start(TestFolder folder, params (string Name, string Value)[] settings)
    {
        var address = new Uri($"http://127.0.0.1:{FreePort.Find()}");
        return Run(address, [], folder, settings);
    }

    /// <summary>Starts serving as a process that may open so many files.</summary>
    public static MiraProcess StartWithFiles(int files, TestFolder folder, params (string Name, string Value)[] settings)
    {
        var address = new Uri($"http://127.0.0.1:{FreePort.Find()}");
        return Begin(new ProcessStartInfo("sh", ["-c", $"ulimit -n {files} && exec dotnet \"$0\"", Binary]), address, folder, settings);
    }

    /// <summary>Starts serving, with nobody who reads what it writes.</summary>
    public static MiraProcess StartUnread(TestFolder folder, params (string Name, string Value)[] settings)
    {
        var address = new Uri($"http://127.0.0.1:{FreePort.Find()}");
        return Begin(new ProcessStartInfo("dotnet", [Binary]), address, folder, settings, isRead: false);
    }

    /// <summary>Starts a command, and returns at once.</summary>
    public static MiraProcess Begin(TestFolder folder, string[] arguments, params (string Name, string Value)[] settings) =>
        Run(new Uri($"http://127.0.0.1:{FreePort.Find()}"), arguments, folder, settings);

    /// <summary>Runs a command, or a start that is expected to be refused, to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(
        TestFolder folder, string[] arguments, params (string Name, string Value)[] settings)
    {
        await using var process = Run(new Uri($"http://127.0.0.1:{FreePort.Find()}"), arguments, folder, settings);
        using var patience = new CancellationTokenSource(Patience);
        await process.Process.WaitForExitAsync(patience.Token);
        process.Process.WaitForExit();
        return (process.Process.ExitCode, process.Output, process.Error);
    }

    public Task WaitUntilReadyAsync() => WaitForAsync(async () =>
        Process.HasExited ? throw new InvalidOperationException($"The process ended: {Output}{Error}") : await IsReadyAsync());

    public async Task<bool> IsReadyAsync()
    {
        using var client = new HttpClient { BaseAddress = Address };
        try
        {
            using var answer = await client.GetAsync("/health/ready");
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return false;
        }
    }

    /// <summary>Asks again and again, for as long as a test can be patient.</summary>
    public static async Task WaitForAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Pace);
        while (!await condition())
            await pace.WaitForNextTickAsync(patience.Token);
    }

    public HttpClient Http(string? token = null)
    {
        var client = new HttpClient(new DescribedAnswersHandler()) { BaseAddress = Address };
        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new("Bearer", token);
        return client;
    }

    public void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{Process.Id}"]);
        kill.WaitForExit();
    }

    public async ValueTask DisposeAsync()
    {
        if (!Process.HasExited)
        {
            Process.Kill();
            await Process.WaitForExitAsync();
        }

        Process.Dispose();
    }

    private static MiraProcess Run(Uri address, string[] arguments, TestFolder folder, (string Name, string Value)[] settings) =>
        Begin(new ProcessStartInfo("dotnet", [Binary, .. arguments]), address, folder, settings);

    private static MiraProcess Begin(ProcessStartInfo start, Uri address, TestFolder folder, (string Name, string Value)[] settings, bool isRead = true)
    {
        (start.RedirectStandardOutput, start.RedirectStandardError) = (true, true);
        start.Environment["MIRA_DATA_DIR"] = folder.Data;
        start.Environment["MIRA_BOOTSTRAP_KEY_FILE"] = folder.AdminFile;
        start.Environment["MIRA_DRAIN_SECONDS"] = "0";
        // Tests of other things make more calls a minute than people do.
        foreach (var limit in (string[])["VIEWER", "OPERATOR", "ADMIN", "FAILURES"])
            start.Environment[$"RATE_LIMIT_{limit}"] = "1000000";
        start.Environment["ASPNETCORE_URLS"] = address.ToString();
        foreach (var (name, value) in settings)
            start.Environment[name] = value;

        var process = new MiraProcess(new Process { StartInfo = start }, address);
        process.Process.OutputDataReceived += (_, line) => Append(process._output, line.Data);
        process.Process.ErrorDataReceived += (_, line) => Append(process._error, line.Data);
        process.Process.Start();
        if (!isRead)
            return process;

        process.Process.BeginOutputReadLine();
        process.Process.BeginErrorReadLine();
        return process;
    }

    private static void Append(StringBuilder text, string? line)
    {
        if (line is null)
            return;
        lock (text)
            text.AppendLine(line);
    }

    private static string Read(StringBuilder text)
    {
        lock (text)
            return text.ToString();
    }
}
