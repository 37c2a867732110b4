using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>What a file may hold, and what stands where.</summary>
internal sealed partial class FileTests
{
    private const int MaximumLines = 300;

    private static readonly SourceFile[] Innocents =
    [
        Source("// No #region, no Thread.Sleep, no DateTime.UtcNow here."),
        Source("var text = \"Thread.Sleep(1); DateTime.UtcNow // not a comment, nothing to do\";"),
        Source("var text = $\"\"\"#pragma warning disable {clock.GetUtcNow()}\"\"\"; var todo = 1;"),
    ];

    /// <summary>Files that are longer than the guide, and why they are better in one piece.</summary>
    private static readonly (string Path, string Reason)[] Longer =
    [
        ("src/Mira.Domain/Keys/ApiKey.cs", "The rules of a key's life are read together; those of its secrets are apart."),
        ("src/Mira.Application/Limits/RateLimiter.cs", "One decision goes back and forth between the node's window and the shared one."),
        ("src/Mira.Application/Verification/LedgerPoller.cs", "Its steps share one position in the ledger, and one lock."),
        ("src/Mira.Infrastructure/Airtable/Sync/RecordReconciler.cs", "What is found of a record and what is done about it are read side by side."),
    ];

    [Test]
    public void A_file_is_short_enough_to_be_read_at_once() => Rule.Holds(
        file => file.Lines.Length > MaximumLines && !Longer.Any(longer => longer.Path == file.Path)
            ? [$"{file.Path} has {file.Lines.Length} lines and no reason for it"]
            : [],
        Repository.Code,
        planted: [Source(string.Join('\n', Enumerable.Repeat("//", MaximumLines + 1)))],
        Source(string.Join('\n', Enumerable.Repeat("//", MaximumLines)) + "\n"));

    [Test]
    public void Every_longer_file_is_longer() => Assert.That(
        Longer.Where(longer => Repository.Code.Single(file => file.Path == longer.Path).Lines.Length <= MaximumLines), Is.Empty);

    [Test]
    public void No_region_hides_code() => Rule.Holds(
        file => file.Report(file.Code, new(@"#\s*region"), "a region"),
        Repository.Code,
        planted: [Source("    #region Fields"), Source("#  region")],
        Innocents);

    [Test]
    public void No_warning_is_switched_off_in_code() => Rule.Holds(
        file => file.Report(file.Code, new(@"#\s*pragma\s+warning\s+disable|\bSuppressMessage\b"), "a warning switched off"),
        Repository.Code,
        planted: [Source("#pragma warning disable CA1000"), Source("[SuppressMessage(\"a\", \"b\")]")],
        Innocents);

    [Test]
    public void Nothing_is_left_to_be_done() => Rule.Holds(
        file => file.Report(file.Comments, new(@"\b(TODO|HACK|FIXME|XXX)\b"), "a note to do something"),
        Repository.Code,
        planted: [Source("// TODO: later"), Source("/* a HACK */"), Source("var a = 1; /// <summary>FIXME</summary>")],
        Innocents);

    [Test]
    public void Time_comes_from_TimeProvider() => Rule.Holds(
        file => file.Name == "Program.cs" ? [] : file.Report(file.Code, Clock(), "the machine's own clock"),
        Repository.CodeIn("src"),
        planted:
        [
            Source("var now = DateTime.Now;"), Source("var now = DateTimeOffset\n    .UtcNow;"), Source("var today = DateTime.Today;"),
            Source("var text = $\"{DateTime.UtcNow}\";"), Source("var clock = TimeProvider.System;"), Source("var ticks = Environment.TickCount64;"),
        ],
        Innocents);

    [Test]
    public void No_change_of_the_ledger_is_cast_to_that_of_a_store() => Rule.Holds(
        file => file.Report(file.Code, new(@"\(SqlLedgerChange\)|\b(?:as|is)\s+SqlLedgerChange\b"), "a cast"),
        Repository.CodeIn("src"),
        planted: [Source("var change = (SqlLedgerChange)open;"), Source("if (open is SqlLedgerChange change)"), Source("open as SqlLedgerChange")],
        Innocents);

    [Test]
    public void No_thread_sleeps() => Rule.Holds(
        file => file.Report(file.Code, new(@"\bThread\s*\.\s*Sleep\b"), "a sleep"),
        Repository.Code,
        planted: [Source("Thread.Sleep(100);"), Source("Func<int, int> wait = x => { System.Threading.Thread . Sleep(x); return x; };")],
        Innocents);

    [Test]
    public void No_test_waits_for_time_to_pass() => Rule.Holds(
        file => file.Report(file.Code, new(@"\bTask\s*\.\s*Delay\b"), "a delay"),
        Repository.CodeIn("tests"),
        planted: [Source("await Task.Delay(100);"), Source("await Task\n    .Delay(TimeSpan.FromSeconds(1), token);")],
        Innocents);

    [Test]
    public void A_warning_that_is_switched_off_has_its_reason_beside_it() => Rule.Holds(
        UnexplainedWarnings,
        Repository.BuildFiles,
        planted:
        [
            Build("<NoWarn>$(NoWarn);CA1000</NoWarn>"),
            Build("<!-- CA1000: because. -->\n<NoWarn>CA1000;CA2000</NoWarn>"),
            Build("<PackageReference Include=\"A\" NoWarn=\"NU1605\" />"),
            Build("<!-- CA1000: -->\n<WarningsNotAsErrors>CA1000</WarningsNotAsErrors>"),
        ],
        Build("<!-- CA1000: because. -->\n<NoWarn>$(NoWarn);CA1000</NoWarn>"));

    [Test]
    public void Versions_stand_only_in_Directory_Packages_props() => Rule.Holds(
        file => file.Path == "Directory.Packages.props" ? [] : file.Xml.Descendants()
            .Where(item => item.Name.LocalName is "PackageReference" or "PackageVersion" or "GlobalPackageReference" or "PackageDownload")
            .Where(item => item.Attribute("Version") is not null || item.Attribute("VersionOverride") is not null || item.Elements().Any(inner => inner.Name.LocalName.StartsWith("Version", StringComparison.Ordinal)))
            .Select(item => $"{file.Path}: a version of {item.Attribute("Include")?.Value}"),
        Repository.BuildFiles,
        planted:
        [
            Build("<PackageReference Include=\"A\" Version=\"1.0.0\" />"),
            Build("<PackageReference Include=\"A\" VersionOverride=\"1.0.0\" />"),
            Build("<PackageReference Include=\"A\"><Version>1.0.0</Version></PackageReference>"),
            Build("<PackageVersion Include=\"A\" Version=\"1.0.0\" />"),
        ],
        Build("<PackageReference Include=\"A\" />"));

    private static SourceFile Source(string text) => new("src/Mira.Domain/Keys/Planted.cs", text);

    private static SourceFile Build(string text) => new("src/Mira.Domain/Mira.Domain.csproj", $"<Project>\n{text}\n</Project>");

    private static IEnumerable<string> UnexplainedWarnings(SourceFile file) =>
        from code in SwitchedOff().Matches(file.Text).SelectMany(match => WarningCode().Matches(match.Value)).Select(match => match.Value)
        where !Regex.IsMatch(file.Text, $@"<!--[^>]*\b{code}\b[^>]*:\s*[^\s>-][^>]*-->")
        select $"{file.Path}: {code} without a reason";

    [GeneratedRegex(@"\b(DateTime|DateTimeOffset)\s*\.\s*(Now|UtcNow|Today)\b|\bTimeProvider\s*\.\s*System\b|\bEnvironment\s*\.\s*TickCount")]
    private static partial Regex Clock();

    [GeneratedRegex("""<(NoWarn|WarningsNotAsErrors)\b[^>]*>[^<]*<|\bNoWarn="[^"]*"[^>]*""")]
    private static partial Regex SwitchedOff();

    [GeneratedRegex(@"\b[A-Z]+\d{3,}\b")]
    private static partial Regex WarningCode();
}
