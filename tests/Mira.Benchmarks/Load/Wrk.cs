using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Mira.Benchmarks.Load;

/// <summary>One run of wrk against one address: each request takes the next line of a file.</summary>
internal static partial class Wrk
{
    private const string Script =
        """
        local requests, next = {}, 0
        function init(arguments)
            local address = wrk.host .. ":" .. wrk.port
            for line in io.lines(os.getenv("BENCH_TOKENS")) do
                local headers = { ["Host"] = address, ["Authorization"] = "Bearer " .. (os.getenv("BENCH_CALLER") or line) }
                local body = nil
                if os.getenv("BENCH_METHOD") == "POST" then
                    headers["Content-Type"] = "application/json"
                    body = '{"api_key":"' .. line .. '"}'
                end
                requests[#requests + 1] = wrk.format(os.getenv("BENCH_METHOD"), os.getenv("BENCH_PATH"), headers, body)
            end
        end
        function request()
            next = next % #requests + 1
            return requests[next]
        end
        """;

    public static async Task<WrkResult> RunAsync(Contestant contestant, string folder, int connections, int seconds)
    {
        var script = Path.Combine(folder, "bench.lua");
        await File.WriteAllTextAsync(script, Script);
        var start = new ProcessStartInfo(
            "wrk", ["--latency", "-t1", $"-c{connections}", $"-d{seconds}s", "-s", script, contestant.Server.Address.ToString()])
        {
            RedirectStandardOutput = true,
        };
        start.Environment["BENCH_TOKENS"] = contestant.TokenFile;
        start.Environment["BENCH_METHOD"] = contestant.Method;
        start.Environment["BENCH_PATH"] = contestant.Path;
        if (contestant.Caller is not null)
            start.Environment["BENCH_CALLER"] = contestant.Caller;

        var roundTripsBefore = await contestant.CountRoundTripsAsync();
        var processorBefore = contestant.Server.ProcessorTime;
        using var wrk = Process.Start(start)!;
        var output = await wrk.StandardOutput.ReadToEndAsync();
        await wrk.WaitForExitAsync();
        var processor = contestant.Server.ProcessorTime - processorBefore;

        var roundTrips = await contestant.CountRoundTripsAsync() - roundTripsBefore;
        var requests = Number(Requests().Match(output));
        var refused = Refused().Match(output) is { Success: true } match ? Number(match) : 0;
        if (requests == 0 || output.Contains("Socket errors", StringComparison.Ordinal) || (contestant.IsRefused ? refused != requests : refused != 0))
            throw new InvalidOperationException($"{contestant.Name} answered otherwise than it should:\n{output}");

        return new WrkResult(
            processor.TotalMicroseconds / requests, Number(Rate().Match(output)), Milliseconds(Half().Match(output)), Milliseconds(Most().Match(output)),
            roundTrips / requests);
    }

    private static double Number(Match match) => double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    private static double Milliseconds(Match match) => Number(match) * match.Groups[2].Value switch { "us" => 0.001, "ms" => 1, _ => 1_000 };

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex Requests();

    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)")]
    private static partial Regex Refused();

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex Rate();

    [GeneratedRegex(@"50%\s+([\d.]+)(us|ms|s)")]
    private static partial Regex Half();

    [GeneratedRegex(@"99%\s+([\d.]+)(us|ms|s)")]
    private static partial Regex Most();
}

/// <param name="Processor">Microseconds of the server's processor time for each request.</param>
/// <param name="Rate">Requests a second.</param>
/// <param name="Median">Milliseconds.</param>
/// <param name="Slowest">99 of 100 requests took at most so many milliseconds.</param>
/// <param name="RoundTrips">Calls of Redis for limits, for each request.</param>
internal sealed record WrkResult(double Processor, double Rate, double Median, double Slowest, double RoundTrips);
