using Microsoft.Extensions.Hosting;
using Mira.Application.Background;
using Mira.Architecture.Tests.Compiled;

namespace Mira.Architecture.Tests;

/// <summary>An exception in the background stops nothing but its own round.</summary>
internal sealed class BackgroundTests
{
    [Test]
    public void Every_background_service_runs_supervised_loops() => Rule.Holds(
        Unsupervised,
        [.. Assemblies.Written.SelectMany(assembly => assembly.GetTypes()).Where(type => type.IsAssignableTo(typeof(BackgroundService)) && type != typeof(BackgroundLoops))],
        planted: [typeof(Planted.RunsUnsupervised)],
        typeof(Planted.RunsSupervised));

    private static IEnumerable<string> Unsupervised(Type type) =>
        type.IsAssignableTo(typeof(BackgroundLoops)) ? [] : [$"{type} is a background service and does not derive from {nameof(BackgroundLoops)}"];
}
