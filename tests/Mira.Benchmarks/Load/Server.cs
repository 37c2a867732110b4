using System.Diagnostics;
using System.Globalization;
using Mira.TestServers;

namespace Mira.Benchmarks.Load;

/// <summary>A server under load, as a process of its own.</summary>
internal sealed class Server : IDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly Process _process;
    private TaskCompletionSource<long>? _heap;

    private Server(Process process, Uri address)
    {
        _process = process;
        Address = address;
    }

    public Uri Address { get; }

    /// <summary>Of all its threads, in user code and in the kernel.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Managed bytes that are not garbage, of one that was started with <see cref="StartupHook"/>.</summary>
    public async Task<long> ReadHeapAsync()
    {
        _heap = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        await _process.StandardInput.WriteLineAsync();
        return await _heap.Task;
    }

    /// <summary>
    /// Starts <c>dotnet</c> with these arguments; <c>{address}</c> in them is where it has to listen.
    /// </summary>
    public static async Task<Server> StartAsync(string probe, string[] arguments, IReadOnlyDictionary<string, string> settings)
    {
        var address = new Uri($"http://127.0.0.1:{FreePort.Find().ToString(CultureInfo.InvariantCulture)}");
        var start = new ProcessStartInfo("dotnet", arguments.Select(argument => argument.Replace("{address}", address.ToString(), StringComparison.Ordinal)))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["ASPNETCORE_URLS"] = address.ToString();
        foreach (var (name, value) in settings)
            start.Environment[name] = value;

        var server = new Server(Process.Start(start)!, address);
        server._process.OutputDataReceived += (_, line) => server.Hear(line.Data);
        server._process.BeginOutputReadLine();
        using var http = new HttpClient { BaseAddress = address };
        using var pace = new PeriodicTimer(Pace);
        while (!await AnswersAsync(http, probe))
        {
            if (server._process.HasExited)
                throw new InvalidOperationException("The server ended before it was ready.");
            await pace.WaitForNextTickAsync();
        }

        return server;
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private void Hear(string? line)
    {
        if (line is not null && line.StartsWith(StartupHook.Answer, StringComparison.Ordinal))
            _heap?.TrySetResult(long.Parse(line.AsSpan(StartupHook.Answer.Length), CultureInfo.InvariantCulture));
    }

    private static async Task<bool> AnswersAsync(HttpClient http, string probe)
    {
        try
        {
            using var answer = await http.GetAsync(probe);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return false;
        }
    }
}
