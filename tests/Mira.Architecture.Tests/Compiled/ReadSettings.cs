using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application.Settings;
using Mira.Infrastructure.Start;
using Mira.Web.Logging;

namespace Mira.Architecture.Tests.Compiled;

/// <summary>Every setting that the service reads, found by running the methods that read settings.</summary>
internal static class ReadSettings
{
    /// <summary>
    /// Values without which a method stops before it has read everything, or which change the default of another
    /// setting.
    /// </summary>
    private static readonly Dictionary<string, string> Given = new()
    {
        ["AIRTABLE_TOKEN"] = "planted",
        ["AIRTABLE_BASE_ID"] = "app0123456789ABCD",
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://localhost:4317",
        ["REDIS_SENTINEL"] = "planted",
    };

    /// <summary>One for each name and default.</summary>
    public static IReadOnlyList<Setting> All { get; } =
    [
        .. Find(_ => null)
            .Concat(Find(path => Given.GetValueOrDefault(path)))
            .DistinctBy(setting => (setting.Name, setting.Default)),
    ];

    private static List<Setting> Find(Func<string, string?> values)
    {
        var found = new List<Setting>();
        var reader = new SettingReader(values, found.Add);
        foreach (var method in Assemblies.Written.SelectMany(assembly => assembly.GetTypes()).SelectMany(Readers))
            Try(() => method.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [reader], null));
        Try(() => StoreChoice.FindFolder(reader, AppContext.BaseDirectory));
        Try(() => new ServiceCollection().AddLogging(logging => LogSetup.Apply(logging, reader)));
        return found;
    }

    private static IEnumerable<MethodInfo> Readers(Type type) => type.ContainsGenericParameters
        ? []
        : type.GetMethods(
                BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
            .Where(method => method.GetParameters().Select(parameter => parameter.ParameterType)
                .SequenceEqual([typeof(SettingReader)]));

    // What it has read until then is noted.
    private static void Try(Action read)
    {
        try
        {
            read();
        }
        catch (SettingException)
        {
        }
    }
}
