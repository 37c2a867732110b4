using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.TestServers;

namespace Mira.Load;

/// <summary>
/// An endpoint that does nothing, in a process of its own: what the machine, the network stack and the driver take by
/// themselves.
/// </summary>
public sealed class BareServer : IAsyncDisposable
{
    public const string Command = "serve-bare";

    private readonly Process _process;

    private BareServer(Process process, Uri address)
    {
        _process = process;
        Address = address;
    }

    public Uri Address { get; }

    public static async Task<BareServer> StartAsync(CancellationToken cancellationToken)
    {
        var address = new Uri($"http://127.0.0.1:{FreePort.Find()}");
        string[] command = [typeof(BareServer).Assembly.Location, Command, address.ToString()];
        var start = new ProcessStartInfo("dotnet", command) { RedirectStandardOutput = true };
        var server = new BareServer(Process.Start(start)!, address);
        // One line says that it listens.
        await server._process.StandardOutput.ReadLineAsync(cancellationToken);
        return server;
    }

    /// <summary>Serves until the process is told to end.</summary>
    public static async Task ServeAsync(string address)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(address);
        await using var app = builder.Build();
        app.MapGet("/", () => "{\"valid\":true}");
        await app.StartAsync();
        await Console.Out.WriteLineAsync("listening");
        await app.WaitForShutdownAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }
}
