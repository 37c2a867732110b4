using Mira.TestServers.Airtable;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>
/// Makes the table of keys in a base, by the binary as a user runs it and within Airtable's own limits.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class AirtableCommandTests
{
    private const string Table = "API Keys";

    private AirtableServer _airtable = null!;
    private TestFolder _folder = null!;

    [SetUp]
    public async Task StartAsync()
    {
        _airtable = await AirtableServer.StartAsync();
        _folder = new TestFolder();
    }

    [TearDown]
    public async Task StopAsync()
    {
        await _airtable.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task A_table_is_made_and_a_second_time_there_is_nothing_to_do()
    {
        var made = await RunAsync();
        var again = await RunAsync();

        Assert.That(made, Is.EqualTo((0, "made the table with 16 fields\n", "")));
        Assert.That(again, Is.EqualTo((0, "nothing is missing\n", "")));
        Assert.That(_airtable.Sheet(Table).Fields.Select(field => field.Name), Does.Contain("key_id").And.Contain("mac"));
        Assert.That(_airtable.BusiestSecond, Is.LessThanOrEqualTo(5));
    }

    [Test]
    public async Task A_table_made_by_hand_gets_the_fields_it_lacks_and_what_is_wrong_is_named()
    {
        _airtable.AddSheet(Table).AddField("version", "singleLineText");

        var answer = await RunAsync();

        Assert.That(answer.ExitCode, Is.EqualTo(1));
        Assert.That(answer.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(15).And.Contains("added the field key_id"));
        Assert.That(answer.Error.Trim(), Is.EqualTo(
            "mira: AIRTABLE_TABLE: version is of type singleLineText, and must be number (airtable create-table makes what is missing)"));
        Assert.That(_airtable.Calls.Count(call => call.IsWrite), Is.EqualTo(15));
        Assert.That(_airtable.BusiestSecond, Is.LessThanOrEqualTo(5));
    }

    [TestCase("AIRTABLE_TOKEN", "pat00000000000000.of-nobody", "AIRTABLE_TOKEN: Airtable does not accept it")]
    [TestCase("AIRTABLE_BASE_ID", "app00000000000000", "AIRTABLE_TOKEN: it may not do this in the base")]
    [TestCase("AIRTABLE_URL", "http://127.0.0.1:9", "AIRTABLE_URL: Airtable could not be connected to")]
    [TestCase("AIRTABLE_URL", "http://airtable.example", "AIRTABLE_URL: must begin with https")]
    [TestCase("AIRTABLE_BASE_ID", "", "AIRTABLE_BASE_ID: must be given")]
    public async Task What_cannot_work_is_one_line_that_names_the_setting(string setting, string value, string said)
    {
        var (exitCode, output, error) = await RunAsync((setting, value));

        Assert.That((exitCode, output), Is.EqualTo((1, "")));
        Assert.That(error, Does.StartWith($"mira: {said}").And.Not.Contain(_airtable.Token).And.Not.Contain("of-nobody"));
        Assert.That(error.Trim().Split('\n'), Has.Length.EqualTo(1));
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params (string Name, string Value)[] others)
    {
        Dictionary<string, string> settings = new()
        {
            ["AIRTABLE_TOKEN"] = _airtable.Token,
            ["AIRTABLE_BASE_ID"] = _airtable.BaseId,
            ["AIRTABLE_URL"] = _airtable.Url.AbsoluteUri,
        };
        foreach (var (name, value) in others)
            settings[name] = value;
        return MiraProcess.RunAsync(_folder, ["airtable", "create-table"], [.. settings.Select(setting => (setting.Key, setting.Value))]);
    }
}
