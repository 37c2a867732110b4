using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Mira.Operations.Tests.Pipelines;

/// <summary>
/// The workflows of .github may do little, run what is pinned, and call scripts that run on any machine.
/// </summary>
internal sealed partial class WorkflowTests
{
    private const string Head = "on:\n  push:\npermissions:\n  contents: read\njobs:\n  a:\n    timeout-minutes: 5\n    runs-on: ubuntu-latest\n";

    private const string Checkout =
        "      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2\n        with:\n          persist-credentials: false\n";

    /// <summary>What each job may do beyond reading the sources.</summary>
    private static readonly Dictionary<string, string[]> Rights = new()
    {
        ["codeql.yml analyze"] = ["security-events: write"],
        ["release.yml publish"] = ["contents: write", "packages: write", "id-token: write", "attestations: write"],
    };

    [Test]
    public void Each_workflow_that_was_agreed_is_there() =>
        Assert.That(Workflow.All.Select(workflow => workflow.Name),
            Is.EqualTo(new[] { "ci.yml", "codeql.yml", "deploy.yml", "release.yml", "scan.yml" }));

    [Test]
    public void An_action_is_pinned_by_its_full_commit_and_names_its_version() => Holds(
        workflow => Uses().Matches(workflow.Text).Select(match => match.Groups[1].Value)
            .Where(use => !Pinned().IsMatch(use)),
        Planted("      - uses: actions/checkout@v4\n"),
        Planted("      - uses: actions/checkout@11bd719 # v4.2.2\n"),
        Planted("      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683\n"),
        Planted("      - uses: docker://alpine:3\n"));

    [Test]
    public void An_action_has_one_version_in_all_workflows()
    {
        var uses = Workflow.All.SelectMany(workflow => Uses().Matches(workflow.Text))
            .Select(match => match.Groups[1].Value).Distinct();
        Assert.That(uses.GroupBy(use => use.Split('@')[0]).Where(versions => versions.Count() > 1)
            .Select(versions => versions.Key), Is.Empty);
    }

    [Test]
    public void A_workflow_may_read_the_sources_and_a_job_may_do_what_is_listed() => Holds(
        WrongRights,
        Planted("", "permissions:\n  contents: write\n"),
        Planted("", "permissions: write-all\n"),
        Planted("", ""),
        new Workflow("planted.yml",
            Head.Replace("  a:\n", "  a:\n    permissions:\n      packages: write\n",
            StringComparison.Ordinal) + "    steps: []\n"));

    [Test]
    public void A_job_has_a_time_limit() => Holds(
        workflow => workflow.Jobs.Where(job => Workflow.TextOf(job.Node, "timeout-minutes") is null)
            .Select(job => $"{job.Name} may run for hours"),
        new Workflow("planted.yml",
            (Head + "    steps: []\n").Replace("    timeout-minutes: 5\n", "", StringComparison.Ordinal)));

    [Test]
    public void The_token_of_a_checkout_is_not_kept() => Holds(
        workflow => workflow.Steps.Where(
            step => Workflow.TextOf(step, "uses")?.StartsWith("actions/checkout@", StringComparison.Ordinal) == true)
            .Where(step => Workflow.Find(step, "with") is not { } with
                || Workflow.TextOf(with, "persist-credentials") != "false")
            .Select(_ => "a later step could push with it"),
        Planted("      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2\n"));

    [Test]
    public void No_input_becomes_part_of_a_command() => Holds(
        workflow => workflow.Steps.Select(step => Workflow.TextOf(step, "run") ?? "")
            .Where(run => run.Contains("${{", StringComparison.Ordinal)),
        Planted("      - run: echo ${{ github.event.pull_request.title }}\n"));

    [Test]
    public void A_secret_is_given_to_the_step_that_needs_it() => Holds(
        workflow => Secret().Matches(workflow.Text).Where(match => match.Groups[1].Length < "          ".Length)
            .Select(match => match.Value.Trim()),
        new Workflow("planted.yml",
            Head.Replace("  a:\n", "  a:\n    env:\n      A: ${{ secrets.A }}\n",
            StringComparison.Ordinal) + "    steps: []\n"),
        new Workflow("planted.yml", "env:\n  A: ${{ github.token }}\n" + Head + "    steps: []\n"));

    [Test]
    public void No_workflow_gives_secrets_to_what_a_stranger_sent() => Holds(
        workflow => workflow.Events.Intersect(["pull_request_target", "workflow_run", "issue_comment"])
            .Concat(workflow.Events.Contains("pull_request")
                && workflow.Text.Contains("secrets.", StringComparison.Ordinal) ? ["a secret beside pull_request"]
                : []),
        new Workflow("planted.yml",
            Head.Replace("push:", "pull_request_target:", StringComparison.Ordinal) + "    steps: []\n"),
        new Workflow("planted.yml",
            Head.Replace("push:", "pull_request:",
            StringComparison.Ordinal) + "    steps:\n      - run: build/test.sh\n        env:\n          A: ${{ secrets.A }}\n"));

    [Test]
    public void A_script_that_a_step_calls_is_there_and_executable()
    {
        Holds(
            workflow => workflow.Steps.SelectMany(step => Script().Matches(Workflow.TextOf(step, "run") ?? ""))
                .Select(match => match.Value).Where(path => !IsExecutable(path)),
            Planted("      - run: build/planted.sh\n"),
            Planted("      - run: bash build/k8s/base/service.yaml\n"));
        var called = Workflow.All.SelectMany(workflow => Script().Matches(workflow.Text)).Select(match => match.Value)
            .ToHashSet();
        Assert.That(called, Is.SupersetOf(
            new[] { ".ci/run", "build/scan.sh", "build/sbom.sh", "build/release.sh", "build/publish.sh",
            "build/deploy.sh" }));
        Assert.That(RepositoryFiles.Read("build", "deploy.sh"), Does.Contain("build/smoke.sh"));
    }

    [Test]
    public async Task Actionlint_finds_no_fault()
    {
        var (exitCode, output) = await Shell.RunAsync(
            RepositoryFiles.Root, RepositoryFiles.At("build", "workflows", "check.sh"));
        Assert.That(exitCode, Is.Zero, output);
    }

    private static void Holds(Func<Workflow, IEnumerable<string>> rule, params Workflow[] planted)
    {
        foreach (var violation in planted)
            Assert.That(rule(violation), Is.Not.Empty, $"Not reported: {violation}");
        Assert.That(rule(Planted(Checkout + "      - run: build/test.sh\n")), Is.Empty);
        Assert.That(Workflow.All.SelectMany(
            workflow => rule(workflow).Select(problem => $"{workflow.Name}: {problem}")), Is.Empty);
    }

    private static IEnumerable<string> WrongRights(Workflow workflow)
    {
        if (workflow.Permissions is not { } all || RightsOf(all) is not ["contents: read"])
            yield return "may do more than read, or whatever the default of the organisation is";
        foreach (var (name, node) in workflow.Jobs)
        {
            var granted = Workflow.Find(node, "permissions") is YamlMappingNode own
                ? RightsOf(own).Where(right => right != "contents: read").ToArray() : [];
            if (!granted.SequenceEqual(Rights.GetValueOrDefault($"{workflow.Name} {name}", [])))
                yield return $"{name} may {string.Join(", ", granted)}";
        }
    }

    private static string[] RightsOf(YamlMappingNode permissions) =>
        [.. permissions.Select(right => $"{((YamlScalarNode)right.Key).Value}: {((YamlScalarNode)right.Value).Value}")];

    private static bool IsExecutable(string path) =>
        File.Exists(RepositoryFiles.At(path))
            && File.GetUnixFileMode(RepositoryFiles.At(path)).HasFlag(UnixFileMode.UserExecute);

    private static Workflow Planted(string steps, string? permissions = null)
    {
        var head = permissions is null ? Head
            : Head.Replace("permissions:\n  contents: read\n", permissions, StringComparison.Ordinal);
        return new Workflow("planted.yml", head + (steps.Length == 0 ? "    steps: []\n" : $"    steps:\n{steps}"));
    }

    [GeneratedRegex(@"^\s*(?:- )?uses: *(.+?) *$", RegexOptions.Multiline)]
    private static partial Regex Uses();

    [GeneratedRegex(@"^( *).*\$\{\{ *(?:secrets\.|github\.token)", RegexOptions.Multiline)]
    private static partial Regex Secret();

    [GeneratedRegex(@"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")]
    private static partial Regex Pinned();

    [GeneratedRegex(@"(?<![\w/.-])(?:\.ci/run|build/[\w./-]+\.(?:sh|yaml))(?!\w)")]
    private static partial Regex Script();
}
