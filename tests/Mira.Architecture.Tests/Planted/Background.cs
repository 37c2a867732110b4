using Microsoft.Extensions.Hosting;
using Mira.Application.Background;

namespace Mira.Architecture.Tests.Planted;

/// <summary>One exception in it would end it, or the process.</summary>
internal sealed class RunsUnsupervised : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => new TaskCompletionSource().Task.WaitAsync(stoppingToken);
}

internal sealed class RunsSupervised() : BackgroundLoops(TimeProvider.System, null)
{
    protected override IEnumerable<Loop> Loops() => [];
}
