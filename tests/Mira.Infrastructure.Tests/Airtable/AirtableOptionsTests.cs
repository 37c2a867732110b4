using Mira.Application.Settings;
using Mira.Infrastructure.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

internal sealed class AirtableOptionsTests
{
    private const string Token = "pat00000000000000.hunter2hunter2";
    private const string Base = "app0123456789ABcd";

    [Test]
    public void A_token_and_a_base_are_enough()
    {
        var options = Read();

        Assert.That((options.Token, options.BaseId, options.Table, options.Url.AbsoluteUri), Is.EqualTo((Token, Base, "API Keys", "https://api.airtable.com/")));
        Assert.That(
            (options.PollInterval, options.SweepInterval, options.MaxStaleness),
            Is.EqualTo((TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(15))));
        Assert.That((options.CallsPerSecond, options.LockOut), Is.EqualTo((5, TimeSpan.FromSeconds(30))));
    }

    [Test]
    public void Every_setting_counts_flat_or_below_Mira()
    {
        var flat = Read(("AIRTABLE_TABLE", "Keys / live"), ("AIRTABLE_URL", "https://proxy.example/airtable"), ("Mira:Airtable:PollInterval", "00:01:00"));
        var nested = AirtableOptions.Read(Reader(
            ("Mira:Airtable:Token", Token), ("Mira:Airtable:BaseId", Base), ("Mira:Airtable:Table", "Keys / live"),
            ("Mira:Airtable:Url", "https://proxy.example/airtable/"), ("Mira:Airtable:PollInterval", "00:01:00")));

        Assert.That(flat, Is.EqualTo(nested));
        Assert.That((flat.Table, flat.Url.AbsoluteUri), Is.EqualTo(("Keys / live", "https://proxy.example/airtable/")));
    }

    [TestCase("http://localhost:8080")]
    [TestCase("http://127.0.0.1:8080/")]
    [TestCase("http://[::1]:8080")]
    public void The_token_may_go_unencrypted_within_this_machine(string url) => Assert.That(Read(("AIRTABLE_URL", url)).Url.Port, Is.EqualTo(8080));

    [TestCase("AIRTABLE_TOKEN", "")]
    [TestCase("AIRTABLE_TOKEN", "hunter2hunter2 with a blank")]
    [TestCase("AIRTABLE_TOKEN", "hunter2hunter2\n")]
    [TestCase("AIRTABLE_BASE_ID", "")]
    [TestCase("AIRTABLE_BASE_ID", "tbl0123456789ABcd")]
    [TestCase("AIRTABLE_BASE_ID", "app")]
    [TestCase("AIRTABLE_BASE_ID", "app0123456789ABc/")]
    [TestCase("AIRTABLE_BASE_ID", "app0123456789ABcd\n")]
    [TestCase("AIRTABLE_TABLE", " ")]
    [TestCase("AIRTABLE_TABLE", "..")]
    [TestCase("AIRTABLE_TABLE", "a\nb")]
    [TestCase("AIRTABLE_URL", "http://api.airtable.com")]
    [TestCase("AIRTABLE_URL", "http://localhost.example")]
    [TestCase("AIRTABLE_URL", "https://api.airtable.com/v0")]
    [TestCase("AIRTABLE_URL", "https://hunter2@api.airtable.com")]
    [TestCase("AIRTABLE_URL", "https://api.airtable.com?key=hunter2")]
    [TestCase("AIRTABLE_URL", "api.airtable.com")]
    [TestCase("AIRTABLE_URL", "file:///etc/hunter2")]
    [TestCase("Mira__Airtable__PollInterval", "00:00:00")]
    [TestCase("Mira__Airtable__SweepInterval", "10")]
    [TestCase("Mira__Airtable__MaxStaleness", "forever")]
    public void What_cannot_be_right_is_named_and_not_shown(string name, string value) => Assert.That(
        () => Read((name, value)),
        Throws.TypeOf<SettingException>().With.Message.StartsWith(name + ": ").And.Message.Not.Contains("hunter2"));

    [Test]
    public void The_token_is_in_no_text() => Assert.That($"{Read()}", Does.Not.Contain(Token).And.Contain(Base));

    private static AirtableOptions Read(params (string Name, string Value)[] settings) =>
        AirtableOptions.Read(Reader([.. settings, ("AIRTABLE_TOKEN", Token), ("AIRTABLE_BASE_ID", Base)]));

    private static SettingReader Reader(params (string Name, string Value)[] settings) => new(path =>
        settings.Where(setting => setting.Name.Replace("__", ":", StringComparison.Ordinal) == path).Select(setting => setting.Value).FirstOrDefault());
}
