using k8s.Models;

namespace Mira.Operations.Tests.Manifests;

/// <summary>What the overlay of several nodes adds, and what the overlay of one node must not have.</summary>
internal sealed class ProductionTests
{
    [Test]
    public async Task One_node_never_runs_beside_another_on_the_same_store()
    {
        var single = await Overlay.OfAsync("single");
        Assert.That(single.Deployment.Spec.Replicas, Is.EqualTo(1));
        Assert.That(single.Deployment.Spec.Strategy.Type, Is.EqualTo("Recreate"));
        Assert.That(single.Objects.OfType<V2HorizontalPodAutoscaler>(), Is.Empty);
        Assert.That(single.Settings.Keys, Has.None.EqualTo("MIRA_STORE"));
        Assert.That(single.Pod.Volumes.Single(volume => volume.Name == "data").PersistentVolumeClaim, Is.Not.Null);
    }

    [Test]
    public async Task Three_nodes_or_more_are_rolled_without_one_missing()
    {
        var production = await Overlay.OfAsync("production");
        var rolling = production.Deployment.Spec.Strategy;
        Assert.That((rolling.Type, rolling.RollingUpdate.MaxUnavailable.Value, rolling.RollingUpdate.MaxSurge.Value),
            Is.EqualTo(("RollingUpdate", "0", "1")));
        var scaler = production.One<V2HorizontalPodAutoscaler>().Spec;
        Assert.That(scaler.MinReplicas, Is.EqualTo(3));
        Assert.That(scaler.MaxReplicas, Is.GreaterThan(3));
        Assert.That((scaler.ScaleTargetRef.Kind, scaler.ScaleTargetRef.Name),
            Is.EqualTo(("Deployment", production.Deployment.Metadata.Name)));
        Assert.That(production.Deployment.Spec.Replicas, Is.Null,
            "an applied number would undo what the autoscaler decided");
        Assert.That(production.Node.Resources.Requests.Keys, Does.Contain("cpu"),
            "the autoscaler counts in shares of it");
    }

    [Test]
    public async Task At_most_one_node_is_evicted_at_a_time()
    {
        var production = await Overlay.OfAsync("production");
        var budget = production.One<V1PodDisruptionBudget>().Spec;
        Assert.That(budget.MaxUnavailable.Value, Is.EqualTo("1"));
        Assert.That(budget.Selector.MatchLabels, Is.SubsetOf(production.Deployment.Spec.Template.Metadata.Labels));
    }

    [Test]
    public async Task Nodes_are_spread_over_machines_and_zones()
    {
        var spread = (await Overlay.OfAsync("production")).Pod.TopologySpreadConstraints;
        Assert.That(spread.Select(one => one.TopologyKey),
            Is.EquivalentTo(new[] { "kubernetes.io/hostname", "topology.kubernetes.io/zone" }));
        Assert.That(spread.Select(one => one.MatchLabelKeys.Single()), Is.All.EqualTo("pod-template-hash"),
            "or old pods count while new ones are placed");
    }

    [Test]
    public async Task Secrets_are_mounted_as_files_where_Mira_reads_them()
    {
        var production = await Overlay.OfAsync("production");
        var volume = production.Pod.Volumes.Single(volume => volume.Secret is not null);
        Assert.That((volume.Secret.SecretName, volume.Secret.DefaultMode),
            Is.EqualTo(("mira", Convert.ToInt32("440", 8))));
        var mount = production.Node.VolumeMounts.Single(mount => mount.Name == volume.Name);
        Assert.That((mount.MountPath, mount.ReadOnlyProperty), Is.EqualTo(("/run/secrets", (bool?)true)));
        Assert.That(production.Node.Env.Select(variable => variable.Name),
            Is.EqualTo(new[] { "DOTNET_EnableDiagnostics" }));
        Assert.That(production.Objects.OfType<V1PersistentVolumeClaim>().Select(claim => claim.Metadata.Name),
            Is.EqualTo(new[] { "mira-backups" }));
    }

    [Test]
    public async Task A_node_may_reach_the_database_Redis_and_names()
    {
        var egress = (await Overlay.OfAsync("production")).One<V1NetworkPolicy>().Spec.Egress;
        Assert.That(egress.SelectMany(rule => rule.Ports).Select(port => port.Port.Value).Distinct(),
            Is.EquivalentTo(new[] { "53", "443", "5432", "6379", "26379" }));
    }

    [Test]
    public async Task Metrics_are_scraped_under_the_name_that_the_rules_ask_for()
    {
        var production = await Overlay.OfAsync("production");
        var monitor = production.One<ServiceMonitor>();
        var service = production.One<V1Service>();
        Assert.That(service.Metadata.Labels[monitor.Spec!.JobLabel!], Is.EqualTo("mira"));
        Assert.That(RepositoryFiles.Read("build", "prometheus", "alerts.rules.yml"), Does.Contain("job=\"mira\""));
        Assert.That(monitor.Spec.Selector!.MatchLabels, Is.SubsetOf(service.Metadata.Labels));
        Assert.That((monitor.Spec.Endpoints!.Single().Path, monitor.Spec.Endpoints!.Single().Port),
            Is.EqualTo(("/metrics", service.Spec.Ports.Single().Name)));
    }

    [Test]
    public async Task A_backup_has_a_file_of_its_own_and_runs_beside_the_node()
    {
        var single = await Overlay.OfAsync("single");
        Assert.That(single.BackupPod.Containers.Single().Args,
            Is.EqualTo(new[] { "backup", "--to", "/backups/$(POD_NAME).backup" }));
        var beside = single.BackupPod.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution.Single();
        Assert.That(beside.LabelSelector.MatchLabels, Is.EquivalentTo(single.Deployment.Spec.Selector.MatchLabels));

        var production = await Overlay.OfAsync("production");
        var container = production.BackupPod.Containers.Single();
        Assert.That(container.Command, Is.EqualTo(new[] { "pg_dump" }));
        Assert.That(container.Args, Does.Contain("--file=/backups/$(POD_NAME).dump"));
        Assert.That(container.EnvFrom.Single().SecretRef.Name, Is.EqualTo("mira-backup"));
        foreach (var job in (V1CronJob[])[single.Backup, production.Backup])
        {
            Assert.That((job.Spec.ConcurrencyPolicy, job.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy),
                Is.EqualTo(("Forbid", "Never")));
        }
    }
}
