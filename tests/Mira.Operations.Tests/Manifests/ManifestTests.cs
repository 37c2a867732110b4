using System.Globalization;
using System.Text.RegularExpressions;
using k8s.Models;
using YamlDotNet.Core;

namespace Mira.Operations.Tests.Manifests;

/// <summary>The overlays of build/k8s say what Kubernetes must do to run Mira safely.</summary>
[TestFixture("single")]
[TestFixture("production")]
internal sealed partial class ManifestTests(string name)
{
    private Overlay _overlay = null!;

    [OneTimeSetUp]
    public async Task RenderAsync() => _overlay = await Overlay.OfAsync(name);

    [Test]
    public void An_object_has_no_unknown_field_and_no_wrong_type()
    {
        Assert.That(_overlay.Objects, Has.Count.GreaterThanOrEqualTo(9));
        foreach (var (right, planted) in ((string, string)[])
            [("failureThreshold: 3", "failureTreshold: 3"), ("runAsNonRoot: true", "runAsNonRoot: perhaps"),
                ("memory: 512Mi", "memory: much"), ("port: http", "port: http\n  port: http")])
        {
            Assert.That(_overlay.Text, Does.Contain(right));
            Assert.That(() => Overlay.Load(_overlay.Text.Replace(right, planted, StringComparison.Ordinal)),
                Throws.InstanceOf<YamlException>(), planted);
        }
    }

    [Test]
    public void Every_object_is_in_the_namespace_that_the_overlay_creates()
    {
        var created = _overlay.One<V1Namespace>().Metadata.Name;
        var others = _overlay.Objects.OfType<k8s.IKubernetesObject<V1ObjectMeta>>()
            .Where(item => item is not V1Namespace).ToList();
        Assert.That(others.Select(item => item.Metadata.NamespaceProperty), Is.All.EqualTo(created));
    }

    [Test]
    public void A_pod_keeps_to_the_restricted_profile()
    {
        var labels = _overlay.One<V1Namespace>().Metadata.Labels;
        Assert.That(labels["pod-security.kubernetes.io/enforce"], Is.EqualTo("restricted"));
        Assert.That(Unrestricted(_overlay.Pod).Concat(Unrestricted(_overlay.BackupPod)), Is.Empty);
    }

    [Test]
    public void A_pod_that_breaks_the_restricted_profile_is_reported()
    {
        foreach (var plant in (Action<V1PodSpec>[])
        [
            pod => pod.SecurityContext.RunAsNonRoot = false,
            pod => pod.SecurityContext.RunAsUser = 0,
            pod => pod.SecurityContext.SeccompProfile = null,
            pod => pod.AutomountServiceAccountToken = true,
            pod => pod.HostNetwork = true,
            pod => pod.Containers[0].SecurityContext.AllowPrivilegeEscalation = true,
            pod => pod.Containers[0].SecurityContext.ReadOnlyRootFilesystem = null,
            pod => pod.Containers[0].SecurityContext.Capabilities.Drop = ["NET_RAW"],
            pod => pod.Volumes.Add(
                new V1Volume { Name = "host", HostPath = new V1HostPathVolumeSource { Path = "/" } }),
        ])
        {
            var pod = Overlay.Load(_overlay.Text).OfType<V1Deployment>().Single().Spec.Template.Spec;
            plant(pod);
            Assert.That(Unrestricted(pod), Is.Not.Empty);
        }
    }

    [Test]
    public void The_grace_period_is_longer_than_all_that_a_stop_may_take()
    {
        const int RequestsInProgress = 20;
        var before = _overlay.Node.Lifecycle.PreStop.Sleep.Seconds;
        var drain = int.Parse(_overlay.Settings["MIRA_DRAIN_SECONDS"], CultureInfo.InvariantCulture);
        Assert.That(before, Is.Positive);
        Assert.That(drain, Is.Positive);
        Assert.That(_overlay.Pod.TerminationGracePeriodSeconds, Is.GreaterThan(before + drain + RequestsInProgress));
    }

    [Test]
    public void The_memory_fits_what_was_measured()
    {
        var text = RepositoryFiles.Read("docs", "performance.md");
        var atRest = Measured(MemoryAfterMinutes().Match(text)) * 1e6;
        var keys = Measured(BytesOfUsedKey().Match(text)) * 100_000;
        var (request, limit) = (Quantity(_overlay.Node.Resources.Requests), Quantity(_overlay.Node.Resources.Limits));
        Assert.That(request, Is.GreaterThan(atRest), "of a node without load");
        Assert.That(limit, Is.GreaterThan(atRest + keys), "with as many keys as the cache holds");
        Assert.That(_overlay.Node.Resources.Limits.Keys, Is.EquivalentTo(new[] { "memory" }),
            "a limit of the processor throttles");
    }

    [Test]
    public void Only_the_ingress_controller_and_monitoring_reach_a_node()
    {
        var policy = _overlay.One<V1NetworkPolicy>().Spec;
        Assert.That(policy.PolicyTypes, Is.EquivalentTo(new[] { "Ingress", "Egress" }));
        Assert.That(policy.PodSelector.MatchLabels, Is.SubsetOf(_overlay.Deployment.Spec.Template.Metadata.Labels));
        var rule = policy.Ingress.Single();
        var peers = rule.FromProperty;
        Assert.That(peers.Select(peer => peer.NamespaceSelector?.MatchLabels.Values.Single()),
            Is.EquivalentTo(new[] { "ingress-nginx", "monitoring" }));
        Assert.That(peers.Where(peer => peer.PodSelector is not null || peer.IpBlock is not null), Is.Empty);
        Assert.That(rule.Ports.Select(port => port.Port.Value),
            Is.EqualTo(new[] { _overlay.Node.Ports.Single().Name }));
    }

    [Test]
    public void The_ingress_publishes_neither_metrics_nor_the_interactive_page()
    {
        var ingress = _overlay.One<V1Ingress>().Spec;
        var published = ingress.Rules.SelectMany(rule => rule.Http.Paths).Select(path => path.Path).ToList();
        Assert.That(published, Is.EquivalentTo(new[] { "/api", "/webhook", "/health" }));
        Assert.That(ingress.Tls.SelectMany(tls => tls.Hosts), Is.EquivalentTo(ingress.Rules.Select(rule => rule.Host)));
    }

    [Test]
    public void A_service_leads_to_the_pods()
    {
        var service = _overlay.One<V1Service>().Spec;
        Assert.That(service.Selector, Is.SubsetOf(_overlay.Deployment.Spec.Template.Metadata.Labels));
        Assert.That(service.Selector.Except(_overlay.Backup.Spec.JobTemplate.Spec.Template.Metadata.Labels),
            Is.Not.Empty, "a backup serves nobody");
        Assert.That(service.Ports.Single().TargetPort.Value, Is.EqualTo(_overlay.Node.Ports.Single().Name));
        Assert.That(_overlay.Settings["ASPNETCORE_URLS"],
            Does.EndWith($":{_overlay.Node.Ports.Single().ContainerPort}"));
    }

    [Test]
    public void Each_volume_that_is_mounted_is_there()
    {
        var claims = _overlay.Objects.OfType<V1PersistentVolumeClaim>().Select(claim => claim.Metadata.Name).ToList();
        foreach (var pod in (V1PodSpec[])[_overlay.Pod, _overlay.BackupPod])
        {
            Assert.That(pod.Containers.Single().VolumeMounts.Select(mount => mount.Name),
                Is.EquivalentTo(pod.Volumes.Select(volume => volume.Name)));
            Assert.That((pod.InitContainers ?? []).SelectMany(first => first.VolumeMounts).Select(mount => mount.Name),
                Is.SubsetOf(pod.Volumes.Select(volume => volume.Name)));
            Assert.That(pod.Volumes.Select(volume => volume.PersistentVolumeClaim?.ClaimName).OfType<string>(),
                Is.SubsetOf(claims));
        }
    }

    [Test]
    public void No_object_holds_a_secret()
    {
        Assert.That(_overlay.Objects.OfType<V1Secret>(), Is.Empty);
        Assert.That(_overlay.Settings.Keys.Where(key => SecretSetting().IsMatch(key)), Is.Empty);
        var example = Overlay.ExampleSecrets;
        Assert.That(example.Select(secret => secret.Metadata.Name), Is.EquivalentTo(new[] { "mira", "mira-backup" }));
        Assert.That(example.SelectMany(secret => secret.StringData).Where(pair => SecretSetting().IsMatch(pair.Key))
            .Select(pair => pair.Value), Is.All.Empty);
    }

    [Test]
    public void Mira_comes_from_one_image()
    {
        var images = Containers(_overlay.Pod).Concat(Containers(_overlay.BackupPod))
            .Where(container => container.Command?[0] != "pg_dump").Select(container => container.Image).ToList();
        Assert.That(images, Is.All.Matches(@"^ghcr\.io/mira/mira:\d+\.\d+\.\d+$"));
        Assert.That(images.Distinct().Count(), Is.EqualTo(1));
    }

    private static IEnumerable<V1Container> Containers(V1PodSpec pod) =>
        [.. pod.InitContainers ?? [], .. pod.Containers];

    private static IEnumerable<string> Unrestricted(V1PodSpec pod)
    {
        var context = pod.SecurityContext;
        if (context.RunAsNonRoot != true || context.RunAsUser is null or 0)
            yield return "may run as root";
        if (context.SeccompProfile?.Type != "RuntimeDefault")
            yield return "has no seccomp profile";
        if (pod.AutomountServiceAccountToken != false)
            yield return "holds a token of the cluster";
        if (pod.HostNetwork == true || pod.HostPID == true || pod.HostIPC == true
            || pod.Volumes.Any(volume => volume.HostPath is not null))
        {
            yield return "uses the host";
        }

        foreach (var container in Containers(pod).Select(container => container.SecurityContext))
        {
            if (container.AllowPrivilegeEscalation != false || container.Privileged == true)
                yield return "may gain privileges";
            if (container.ReadOnlyRootFilesystem != true)
                yield return "may write its root file system";
            if (!container.Capabilities.Drop.SequenceEqual(["ALL"]) || container.Capabilities.Add is { Count: > 0 })
                yield return "keeps capabilities";
        }
    }

    private static double Quantity(IDictionary<string, ResourceQuantity> resources) =>
        (double)resources["memory"].ToDecimal();

    private static double Measured(Match match)
    {
        Assert.That(match.Success, "docs/performance.md has the figure no more");
        return double.Parse(
            match.Groups[1].Value.Replace(" ", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"The memory was \d+ to (\d+) MB between")]
    private static partial Regex MemoryAfterMinutes();

    [GeneratedRegex(@"used a moment ago takes ([\d ]+) bytes")]
    private static partial Regex BytesOfUsedKey();

    [GeneratedRegex("POSTGRES$|PEPPER$|AUDIT_KEY$|PASSWORD$|TOKEN$")]
    private static partial Regex SecretSetting();
}
