using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>The scripts of build/ run, and the one entry to them keeps what its help says.</summary>
internal sealed partial class ScriptTests
{
    private static readonly SourceFile Entry = Repository.Files.Single(file => file.Path == "build/mira.sh");

    [Test]
    public void A_script_is_executable() => Rule.Holds(
        path => (File.GetUnixFileMode(path) & UnixFileMode.UserExecute) != 0 ? [] : [$"{path} is not executable"],
        Scripts(),
        planted: [RepositoryFiles.At("README.md")]);

    [Test]
    public void A_script_is_one_that_bash_can_read()
    {
        using var folder = new TestFolder();
        var broken = folder.At("planted.sh");
        File.WriteAllText(broken, "if true; then\n");
        Rule.Holds(
            path => Shell.RunAsync(RepositoryFiles.Root, "bash", "-n", path).Result is (0, _) ? [] : [$"bash cannot read {path}"],
            Scripts(),
            planted: [broken]);
    }

    [Test]
    public async Task Each_command_that_the_help_lists_is_there_and_no_other_one()
    {
        var (exitCode, help) = await RunAsync("help");
        Assert.That(exitCode, Is.Zero, help);
        var listed = ListedCommand().Matches(help).Select(match => match.Groups[1].Value).ToList();
        Assert.That(listed, Is.SupersetOf(new[] { "run", "test", "check", "format", "migrate", "client", "bench", "help" }));
        Assert.That(CommandFunction().Matches(Entry.Text).Select(match => match.Groups[1].Value), Is.EquivalentTo(listed));
    }

    [Test]
    public async Task A_command_that_is_not_there_is_refused_with_the_help()
    {
        var (exitCode, output) = await RunAsync("planted");
        Assert.That(exitCode, Is.EqualTo(2));
        Assert.That(output, Does.Contain("there is no command planted").And.Contain("usage: build/mira.sh COMMAND"));
    }

    [Test]
    public async Task A_migration_needs_a_name_in_PascalCase()
    {
        foreach (var arguments in (string[][])[["migrate"], ["migrate", ""], ["migrate", "two words"], ["migrate", "--force"], ["migrate", "lower"]])
            Assert.That((await RunAsync(arguments)).ExitCode, Is.EqualTo(2), string.Join(' ', arguments));
    }

    [Test]
    public void What_the_entry_names_is_in_the_repository() => Rule.Holds(
        path => File.Exists(RepositoryFiles.At(path)) || Directory.Exists(RepositoryFiles.At(path)) ? [] : [$"build/mira.sh names {path}"],
        [.. NamedPath().Matches(Entry.Text).Select(match => match.Value).Where(path => !path.Contains("/bin/", StringComparison.Ordinal))],
        planted: ["build/planted.sh"],
        "src/Mira.Web");

    [Test]
    public async Task The_whole_run_takes_every_test_project()
    {
        var (exitCode, output) = await Shell.RunAsync(RepositoryFiles.Root, RepositoryFiles.At("build", "test.sh"), "--projects");
        Assert.That(exitCode, Is.Zero);
        var projects = Repository.BuildFiles.Select(file => file.Path).Where(path => path.EndsWith(".Tests.csproj", StringComparison.Ordinal)).ToList();
        Assert.That(projects, Has.Count.GreaterThanOrEqualTo(5));
        Assert.That(output.Split('\n', StringSplitOptions.RemoveEmptyEntries), Is.EquivalentTo(projects));
    }

    private static List<string> Scripts() =>
        [.. Repository.Files.Where(file => file.Path.EndsWith(".sh", StringComparison.Ordinal)).Select(file => RepositoryFiles.At(file.Path))];

    // From another folder, as somebody may who calls it by its path.
    private static Task<(int ExitCode, string Output)> RunAsync(params string[] arguments) =>
        Shell.RunAsync(Path.GetTempPath(), RepositoryFiles.At("build", "mira.sh"), arguments);

    [GeneratedRegex("^  ([a-z]+) ", RegexOptions.Multiline)]
    private static partial Regex ListedCommand();

    [GeneratedRegex(@"^command_([a-z]+)\(\)", RegexOptions.Multiline)]
    private static partial Regex CommandFunction();

    [GeneratedRegex(@"\b(build|src|tests|docs)/[\w./-]*\w")]
    private static partial Regex NamedPath();
}
