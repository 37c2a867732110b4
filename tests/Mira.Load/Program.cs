using Mira.Load;

if (args is [BareServer.Command, var address])
{
    await BareServer.ServeAsync(address);
    return 0;
}

if (args.Contains("--help"))
{
    Console.WriteLine(Options.Help);
    Console.WriteLine("\nScenarios:");
    foreach (var scenario in Scenario.All)
        Console.WriteLine($"  {scenario.Name,-16} {scenario.Summary}");
    return 0;
}

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) =>
{
    press.Cancel = true;
    stop.Cancel();
};

try
{
    var options = Options.Read(args, Environment.GetEnvironmentVariable("MIRA_LOAD_KEY"));
    var results = await new LoadTest(options, TimeProvider.System, Console.WriteLine).RunAsync(stop.Token);
    Directory.CreateDirectory(options.Folder);
    var page = Path.Combine(options.Folder, $"{results.Scenario.Name}.html");
    await File.WriteAllTextAsync(page, ResultsPage.Of(results));
    foreach (var verdict in results.Verdicts)
        Console.WriteLine($"{(verdict.IsKept ? "kept  " : "MISSED")}  {verdict.What}: {verdict.Measured} ({verdict.Limit})");
    foreach (var failure in results.Run.Failures)
        Console.WriteLine($"        {failure}");
    Console.WriteLine(page);
    return results.IsPassed ? 0 : 1;
}
catch (Exception exception) when (
    exception is FormatException or InvalidOperationException or HttpRequestException or OperationCanceledException)
{
    await Console.Error.WriteLineAsync($"load: {exception.Message}");
    return 2;
}
