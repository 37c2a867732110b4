using k8s;
using k8s.Models;

namespace Mira.Operations.Tests.Manifests;

/// <summary>What one overlay of build/k8s renders to, each object as its own type.</summary>
internal sealed class Overlay
{
    private static readonly Dictionary<string, Type> OtherTypes = new()
    {
        ["monitoring.coreos.com/v1/ServiceMonitor"] = typeof(ServiceMonitor),
    };

    private static readonly Dictionary<string, Overlay> Rendered = [];

    private Overlay(string name, string text)
    {
        Name = name;
        Text = text;
        Objects = Load(text);
    }

    public string Name { get; }

    public string Text { get; }

    public IReadOnlyList<object> Objects { get; }

    public V1Deployment Deployment => One<V1Deployment>();

    public V1PodSpec Pod => Deployment.Spec.Template.Spec;

    public V1Container Node => Pod.Containers.Single();

    public V1CronJob Backup => One<V1CronJob>();

    public V1PodSpec BackupPod => Backup.Spec.JobTemplate.Spec.Template.Spec;

    public IDictionary<string, string> Settings => One<V1ConfigMap>().Data;

    public static async Task<Overlay> OfAsync(string name)
    {
        if (Rendered.TryGetValue(name, out var known))
            return known;

        await DemandKubectlAsync();
        var (exitCode, output) = await Shell.RunAsync(
            RepositoryFiles.Root, "kubectl", "kustomize", $"build/k8s/overlays/{name}");
        Assert.That(exitCode, Is.Zero, output);
        return Rendered[name] = new Overlay(name, output);
    }

    /// <summary>
    /// Leaves the test out where kubectl is missing, since Debian's own is too old. The workflows run where it is
    /// there, so that it is a failure in them.
    /// </summary>
    public static async Task DemandKubectlAsync()
    {
        var (exitCode, _) = await Shell.RunAsync(RepositoryFiles.Root, "sh", "-c", "command -v kubectl");
        if (exitCode == 0)
            return;

        const string Missing = "kubectl 1.27 or newer is missing: the manifests were not rendered";
        if (Environment.GetEnvironmentVariable("GITHUB_ACTIONS") is { Length: > 0 })
            Assert.Fail(Missing);
        Assert.Ignore(Missing);
    }

    /// <summary>Reads each object strictly: an unknown field, a wrong type or a name given twice is an error.</summary>
    public static IReadOnlyList<object> Load(string yaml) =>
        KubernetesYaml.LoadAllFromString(yaml, OtherTypes, strict: true);

    /// <summary>The secrets that the production overlay asks for, without their values.</summary>
    public static IReadOnlyList<V1Secret> ExampleSecrets { get; } =
    [
        .. ((string[])["secret", "backup-secret"])
            .SelectMany(name => Load(
                RepositoryFiles.Read("build", "k8s", "overlays", "production", $"{name}.example.yaml")))
                .Cast<V1Secret>(),
    ];

    public T One<T>() => Objects.OfType<T>().Single();

    public override string ToString() => Name;
}

/// <summary>
/// The fields of a ServiceMonitor that the overlay may use. The type belongs to the Prometheus operator.
/// </summary>
internal sealed class ServiceMonitor
{
    public string? ApiVersion { get; set; }

    public string? Kind { get; set; }

    public V1ObjectMeta? Metadata { get; set; }

    public ServiceMonitorSpec? Spec { get; set; }
}

internal sealed class ServiceMonitorSpec
{
    public string? JobLabel { get; set; }

    public V1LabelSelector? Selector { get; set; }

    public IList<ServiceMonitorEndpoint>? Endpoints { get; set; }
}

internal sealed class ServiceMonitorEndpoint
{
    public string? Port { get; set; }

    public string? Path { get; set; }

    public string? Interval { get; set; }
}
