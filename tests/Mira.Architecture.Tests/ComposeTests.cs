using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;
using YamlDotNet.RepresentationModel;

namespace Mira.Architecture.Tests;

/// <summary>
/// The compose files keep secrets and ports closed, and use only what docker-compose 1.29 and Compose v2 both read.
/// Mira.Containers.Tests
/// runs the same files.
/// </summary>
internal sealed partial class ComposeTests
{
    private const string Base = "docker-compose.yml";
    private const string Cluster = "build/compose/cluster.yml";

    /// <summary>Both read these alike. Others are missing in one of the two, or mean something else there.</summary>
    private static readonly string[] CommonKeys =
    [
        "image", "build", "profiles", "entrypoint", "command", "environment", "ports", "volumes", "tmpfs", "networks", "depends_on",
        "healthcheck", "restart", "logging", "read_only", "cap_add", "cap_drop", "security_opt", "user",
        "mem_limit", "stop_grace_period",
    ];

    private static readonly string[] CommonSections = ["services", "networks", "volumes"];

    /// <summary>What has an image of its own; the rest of the cluster changes services of the base.</summary>
    private static readonly ServiceEntry[] Whole = [.. Services().Where(service => service.Has("image"))];

    [Test]
    public void A_service_is_restarted_limited_and_closed() => Rule.Holds(
        Missing,
        Whole,
        planted:
        [
            Planted("image: a"), Planted(Closed.Replace("mem_limit: 1m\n", "", StringComparison.Ordinal)),
            Planted(Closed.Replace("ALL", "CHOWN", StringComparison.Ordinal)),
        ],
        Planted(Closed));

    [Test]
    public void A_secret_has_no_default() => Rule.Holds(
        service => service.Environment.Where(IsOpenSecret).Select(item => $"{service}: {item.Name} is {item.Value}"),
        Services(),
        planted:
        [
            Planted("environment: {REDIS_PASSWORD: changeme}"),
            Planted("environment: {MIRA_PEPPER: '${MIRA_PEPPER:-AAAA}'}"),
            Planted("environment: {MIRA_POSTGRES: 'Host=a;Password=b'}"),
            Planted("environment: {MIRA_POSTGRES: 'Password=${A:-b}'}"),
        ],
        Planted("environment: {A_PASSWORD: '${A:-}', MIRA_PEPPER: '${B:?Say why}', D: e}"),
        Planted("environment: {MIRA_POSTGRES: 'Host=a;Password=${C:?Say why}'}"));

    [Test]
    public void What_has_no_TLS_is_published_on_loopback_and_a_store_is_not_published() => Rule.Holds(
        service => service.Texts("ports").Where(port => !IsClosed(service.Name, port))
            .Select(port => $"{service}: {port}"),
        Services(),
        planted:
        [
            Planted("ports: ['5000:5000']"), Planted("ports: ['0.0.0.0:5000:5000']"),
            Planted("ports: ['${MIRA_PUBLIC_BIND:-0.0.0.0}:1:1']"),
            new ServiceEntry("redis", Mapping("ports: ['127.0.0.1:6379:6379']")),
            new ServiceEntry("postgres", Mapping("ports: ['127.0.0.1:5432:5432']")),
        ],
        Planted("ports: ['127.0.0.1:${A:-1}:1']"), Planted(
            "ports: ['${MIRA_BIND:-127.0.0.1}:${MIRA_PORT:-5000}:5000']"),
        new ServiceEntry("nginx", Mapping("ports: ['${MIRA_PUBLIC_BIND:-0.0.0.0}:443:443']")));

    [Test]
    public void A_service_has_only_keys_that_both_read() => Rule.Holds(
        service => service.Keys.Except(CommonKeys).Select(key => $"{service}: {key}"),
        Services(),
        planted:
        [
            Planted("pull_policy: build"), Planted("deploy: {replicas: 3}"), Planted("develop: {watch: []}"),
            Planted("extends: {service: a}"),
        ],
        Planted(Closed));

    [Test]
    public void A_file_has_only_sections_and_variables_that_both_read() => Rule.Holds(
        WrongForm,
        [.. Repository.Files.Where(file => file.Path is Base or Cluster)],
        planted:
        [
            new SourceFile("planted.yml", "include: [a]"), new SourceFile("planted.yml", "name: mira"),
            new SourceFile("planted.yml", "services: {a: {image: '${A:+b}'}}"),
            new SourceFile("planted.yml", "services: {a: {image: '${A:-${B}}'}}"),
            new SourceFile("planted.yml", "services: {a: {ports: !reset []}}"),
        ],
        new SourceFile("planted.yml", "x-a: 1\nservices: {a: {image: '${A:-b}', user: '${B}', command: '$${C:+d}'}}"));

    [Test]
    public void A_mounted_file_is_in_the_repository() => Rule.Holds(
        source => Path.Exists(RepositoryFiles.At(source)) ? [] : [$"{source} is mounted"],
        [.. Services().SelectMany(service => service.Texts("volumes")).Where(
            volume => volume.StartsWith("./", StringComparison.Ordinal)).Select(volume => volume.Split(':')[0])],
        planted: ["./build/planted.conf"],
        "./build/prometheus");

    [Test]
    public void The_services_and_profiles_are_those_that_were_agreed()
    {
        var services = Services().Where(service => service.File == Base).ToDictionary(
            service => service.Name, service => string.Join(',', service.Texts("profiles")));
        Assert.That(services, Is.EquivalentTo(new Dictionary<string, string>
        {
            ["mira"] = "",
            ["redis"] = "",
            ["redis-commander"] = "dev",
            ["nginx"] = "production",
            ["prometheus"] = "monitoring",
            ["grafana"] = "monitoring",
        }));
        Assert.That(
            Whole.Where(service => service.File == Cluster).Select(service => service.Name),
            Is.EquivalentTo(new[] { "postgres", "balancer" }));
    }

    [Test]
    public void Grafana_finds_its_files_and_Prometheus_where_they_are_mounted()
    {
        var provisioning = Mapping(RepositoryFiles.Read("build", "grafana", "provisioning", "dashboards", "mira.yml"));
        var folder = Text(((YamlSequenceNode)provisioning["providers"])[0]["options"]["path"]);
        var grafana = Whole.Single(service => service.Name == "grafana");
        Assert.That(
            grafana.Texts("volumes"),
            Does.Contain($"./build/grafana/dashboards:{folder}:ro").And.Contain(
                "./build/grafana/provisioning:/etc/grafana/provisioning:ro"));

        var source = (
            (YamlSequenceNode)Mapping(
                RepositoryFiles.Read(
                    "build", "grafana", "provisioning", "datasources", "prometheus.yml"))["datasources"])[0];
        Assert.That(new Uri(Text(source["url"])), Is.EqualTo(new Uri("http://prometheus:9090")));
        Assert.That(Whole.Select(service => service.Name), Does.Contain("prometheus"));
        var dashboards = Directory.GetFiles(
            RepositoryFiles.At("build", "grafana", "dashboards"), "*.json").Select(File.ReadAllText).ToList();
        Assert.That(dashboards, Has.Count.EqualTo(4).And.All.Contain($"\"value\": \"{Text(source["uid"])}\""));
    }

    private const string Closed = """
        image: a
        restart: unless-stopped
        mem_limit: 1m
        cap_drop: [ALL]
        security_opt: ['no-new-privileges:true']
        logging: {driver: json-file, options: {max-size: 10m, max-file: '3'}}

        """;

    private static ServiceEntry[] Services() => [.. new[] { Base, Cluster }.SelectMany(file =>
        (
            (YamlMappingNode)Mapping(RepositoryFiles.Read(file))["services"]).Select(
                service => new ServiceEntry(Text(service.Key), (YamlMappingNode)service.Value, file)))];

    private static ServiceEntry Planted(string text) => new("planted", Mapping(text));

    private static YamlMappingNode Mapping(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return (YamlMappingNode)stream.Documents.Single().RootNode;
    }

    private static string Text(YamlNode node) => ((YamlScalarNode)node).Value!;

    private static IEnumerable<string> Missing(ServiceEntry service)
    {
        if (service.Single("restart") != "unless-stopped")
            yield return $"{service} is not restarted";
        if (service.Single("mem_limit") is null)
            yield return $"{service} has no limit of memory";
        var mayGain = !service.Texts("security_opt").Contains("no-new-privileges:true");
        if (mayGain || !service.Texts("cap_drop").Contains("ALL"))
            yield return $"{service} may gain rights";
        var options = (service.Find("logging") as YamlMappingNode)?["options"];
        if (options is not YamlMappingNode { Children.Count: 2 })
            yield return $"{service} does not rotate its log";
    }

    private static bool IsOpenSecret((string Name, string Value) item) =>
        (SecretName().IsMatch(item.Name) && !NoDefault().IsMatch(item.Value))
        || PasswordWithin().Matches(item.Value).Any(match => !NoDefault().IsMatch(match.Groups[1].Value));

    private static bool IsClosed(string service, string port)
    {
        string[] addresses = service switch
        {
            "redis" or "postgres" => [],
            "nginx" or "balancer" => ["${MIRA_PUBLIC_BIND:-0.0.0.0}:"],
            _ => ["127.0.0.1:", "${MIRA_BIND:-127.0.0.1}:"],
        };
        return addresses.Any(address => port.StartsWith(address, StringComparison.Ordinal));
    }

    private static IEnumerable<string> WrongForm(SourceFile file)
    {
        var sections = Mapping(file.Text).Children.Keys.Select(Text);
        foreach (var section in sections.Except(CommonSections).Where(name => !name.StartsWith("x-", StringComparison.Ordinal)))
            yield return $"{file.Path}: {section}";
        foreach (var problem in file.Report(file.Text, UncommonForm(), "a form that one of the two does not read"))
            yield return problem;
    }

    [GeneratedRegex("PASSWORD|PEPPER|AUDIT_KEY|SECRET|TOKEN")]
    private static partial Regex SecretName();

    [GeneratedRegex(@"^\$\{[A-Z_]+(:-|:\?[^}]+)?\}$")]
    private static partial Regex NoDefault();

    [GeneratedRegex("(?i)password=([^;]*)")]
    private static partial Regex PasswordWithin();

    [GeneratedRegex(@"(?<!\$)\$\{(?![A-Z_]+((:-|:\?)[^}$]*)?\})|![a-z]+ ")]
    private static partial Regex UncommonForm();

    /// <param name="Name">The name of the service.</param>
    /// <param name="Own">What is written at the service; what it takes over from an anchor is looked up in it.</param>
    /// <param name="File">The file that it is in.</param>
    private sealed record ServiceEntry(string Name, YamlMappingNode Own, string File = "planted.yml")
    {
        public IEnumerable<string> Keys =>
            Own.Children.Keys.Select(Text).Where(key => key != "<<").Union(Taken?.Children.Keys.Select(Text) ?? []);

        public IEnumerable<(string Name, string Value)> Environment =>
            Find("environment") is YamlMappingNode items
                ? items.Select(item => (Text(item.Key), Text(item.Value))) : [];

        private YamlMappingNode? Taken => Own.Children.TryGetValue("<<", out var taken) ? (YamlMappingNode)taken : null;

        public bool Has(string key) => Find(key) is not null;

        public YamlNode? Find(string key) =>
            Own.Children.TryGetValue(key, out var own) ? own
            : Taken is { } taken && taken.Children.TryGetValue(key, out var value) ? value
            : null;

        public string? Single(string key) => Find(key) is YamlScalarNode text ? text.Value : null;

        public IEnumerable<string> Texts(string key) =>
            Find(key) is YamlSequenceNode items ? items.OfType<YamlScalarNode>().Select(item => item.Value!) : [];

        public override string ToString() => $"{File}: {Name}";
    }
}
