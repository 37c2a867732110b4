using Mira.Application.Keys;
using Mira.Application.Settings;
using Mira.Application.Verification;

namespace Mira.Application.Tests.Settings;

public class SettingReaderTests
{
    private readonly Dictionary<string, string?> _values = [];

    private SettingReader Settings => new(_values.GetValueOrDefault);

    [SetUp]
    public void SetUp() => _values.Clear();

    [Test]
    public void The_flat_name_wins_over_the_path()
    {
        _values["FLAT"] = "flat";
        _values["Mira:Path"] = "path";

        Assert.That(Settings.Text("FLAT", "Mira:Path"), Is.EqualTo("flat"));
    }

    [TestCase(null)]
    [TestCase("")]
    public void Without_the_flat_name_the_path_counts(string? flat)
    {
        _values["FLAT"] = flat;
        _values["Mira:Path"] = "path";

        Assert.That(Settings.Text("FLAT", "Mira:Path"), Is.EqualTo("path"));
    }

    [Test]
    public void What_is_not_set_or_empty_is_not_there()
    {
        _values["EMPTY"] = "";
        _values["Mira:Empty"] = "";

        Assert.That(Settings.Text("EMPTY", "Mira:Empty"), Is.Null);
        Assert.That(Settings.Text("NONE"), Is.Null);
        Assert.That(Settings.Number("NONE", "Mira:None", 7, 1, 9), Is.EqualTo(7));
        Assert.That(Settings.Truth("NONE", null, true));
        Assert.That(Settings.Duration("NONE", TimeSpan.FromHours(2), default, default), Is.EqualTo(TimeSpan.FromHours(2)));
        Assert.That(Settings.Choice("NONE", null, "else", "a"), Is.EqualTo("else"));
        Assert.That(Settings.List("NONE"), Is.Empty);
    }

    [Test]
    public void A_text_may_have_a_default_and_a_number_may_have_none()
    {
        Assert.That(Settings.Text("NONE", null, "else"), Is.EqualTo("else"));
        Assert.That(Settings.Number("NONE", null, 1, 9), Is.Null);

        _values["NONE"] = "5";
        Assert.That(Settings.Text("NONE", null, "else"), Is.EqualTo("5"));
        Assert.That(Settings.Number("NONE", null, 1, 9), Is.EqualTo(5));
        Assert.That(() => Settings.Number("NONE", null, 6, 9), Throws.TypeOf<SettingException>());
    }

    [Test]
    public void Each_setting_that_is_read_is_noted_with_its_default_and_bounds()
    {
        var noted = new List<Setting>();
        var reader = new SettingReader(_ => null, noted.Add);
        reader.Number("NUMBER", "Mira:Number", 7, 1, 9);
        reader.With("OTHER", "value").Text("OTHER");

        Assert.That(noted, Is.EqualTo(new[]
        {
            new Setting("NUMBER", "Mira:Number", SettingForm.Number)
            {
                Default = 7, Minimum = 1, Maximum = 9, Choices = noted[0].Choices,
            },
            new Setting("OTHER", null, SettingForm.Text) { Choices = noted[1].Choices },
        }));
    }

    [Test]
    public void Two_underscores_in_a_name_are_a_path()
    {
        _values["Mira:Verification:CacheSize"] = "500";

        Assert.That(KeyCacheOptions.Read(Settings).CacheSize, Is.EqualTo(500));
    }

    [TestCase("1", 1)]
    [TestCase("9", 9)]
    public void A_number_in_the_range_is_taken(string text, int expected)
    {
        _values["N"] = text;

        Assert.That(Settings.Number("N", null, 5, 1, 9), Is.EqualTo(expected));
    }

    [TestCase("0")]
    [TestCase("10")]
    [TestCase("-1")]
    [TestCase("1.0")]
    [TestCase(" 5")]
    [TestCase("five")]
    [TestCase("99999999999")]
    public void Another_number_stops_the_start(string text)
    {
        _values["N"] = text;

        Assert.That(() => Settings.Number("N", null, 5, 1, 9), Refused("N", text));
    }

    [TestCase("true", true)]
    [TestCase("False", false)]
    public void True_and_false_are_taken(string text, bool expected)
    {
        _values["T"] = text;

        Assert.That(Settings.Truth("T", null, !expected), Is.EqualTo(expected));
    }

    [TestCase("yes")]
    [TestCase("1")]
    public void Another_word_for_them_stops_the_start(string text)
    {
        _values["T"] = text;

        Assert.That(() => Settings.Truth("T", null, true), Refused("T", text));
    }

    [TestCase("00:00:05", 5)]
    [TestCase("00:01:00", 60)]
    public void A_time_span_in_the_range_is_taken(string text, int seconds)
    {
        _values["D"] = text;

        Assert.That(
            Settings.Duration("D", default, TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(1)), Is.EqualTo(TimeSpan.FromSeconds(seconds)));
    }

    [TestCase("00:00:04.999")]
    [TestCase("00:01:01")]
    [TestCase("30")]
    [TestCase("30s")]
    [TestCase("-00:00:10")]
    public void Another_time_span_stops_the_start(string text)
    {
        _values["D"] = text;

        Assert.That(() => Settings.Duration("D", default, TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(1)), Refused("D", text));
    }

    [Test]
    public void One_of_a_few_words_is_taken_in_any_case()
    {
        _values["C"] = "SQLite";

        Assert.That(Settings.Choice("C", null, "airtable", "airtable", "sqlite"), Is.EqualTo("sqlite"));
    }

    [Test]
    public void Another_word_stops_the_start()
    {
        _values["C"] = "mongo";

        Assert.That(() => Settings.Choice("C", null, "sqlite", "sqlite", "postgres"), Refused("C", "mongo"));
    }

    [Test]
    public void A_list_is_split_at_commas()
    {
        _values["L"] = " a, b ,,c";

        Assert.That(Settings.List("L"), Is.EqualTo(new[] { "a", "b", "c" }));
    }

    [Test]
    public void A_refusal_names_where_the_value_was_found()
    {
        _values["Mira:Keys:DefaultExpiryDays"] = "secret";

        Assert.That(() => KeyDefaults.Read(Settings), Refused("Mira:Keys:DefaultExpiryDays", "secret"));
    }

    [Test]
    public void The_defaults_are_those_of_the_documentation()
    {
        Assert.That(KeyDefaults.Read(Settings), Is.EqualTo(new KeyDefaults { ExpiryDays = 90, GraceMinutes = 60 }));
        Assert.That(KeyCacheOptions.Read(Settings), Is.EqualTo(new KeyCacheOptions { CacheSize = 100_000, ColdReads = 16 }));
        Assert.That(LedgerPollerOptions.Read(Settings).MaxStaleness, Is.EqualTo(TimeSpan.FromSeconds(30)));
    }

    [TestCase("API_KEY_DEFAULT_EXPIRY_DAYS", "0")]
    [TestCase("API_KEY_DEFAULT_EXPIRY_DAYS", "3651")]
    [TestCase("API_KEY_ROTATION_GRACE_MINUTES", "43201")]
    public void Defaults_of_keys_out_of_range_stop_the_start(string name, string text)
    {
        _values[name] = text;

        Assert.That(() => KeyDefaults.Read(Settings), Refused(name, text));
    }

    [TestCase("Mira:Verification:MaxStaleness", "00:00:00.5")]
    [TestCase("Mira:Verification:MaxStaleness", "01:00:01")]
    public void A_staleness_out_of_range_stops_the_start(string path, string text)
    {
        _values[path] = text;

        Assert.That(() => LedgerPollerOptions.Read(Settings), Refused("Mira__Verification__MaxStaleness", text));
    }

    [TestCase("99")]
    [TestCase("10000001")]
    public void A_cache_size_out_of_range_stops_the_start(string text)
    {
        _values["Mira:Verification:CacheSize"] = text;

        Assert.That(() => KeyCacheOptions.Read(Settings), Refused("Mira__Verification__CacheSize", text));
    }

    private static NUnit.Framework.Constraints.Constraint Refused(string setting, string value)
    {
        var named = Throws.TypeOf<SettingException>().With.Message.StartsWith($"{setting}: ");
        return value.Length < 3 ? named : named.And.Message.Not.Contains(value);
    }

    [Test]
    public void The_same_settings_have_the_same_fingerprint_and_of_a_secret_it_tells_only_whether_it_is_there()
    {
        string Print(string days, string? pepper)
        {
            var settings = new SettingReader(name => name == "DAYS" ? days : name == "MIRA_PEPPER" ? pepper : null);
            settings.Number("DAYS", null, 1, 1, 100);
            settings.Text("MIRA_PEPPER", "Mira:Pepper");
            settings.Text("MIRA_PEPPER_FILE");
            return settings.Fingerprint();
        }

        var print = Print("30", null);
        Assert.That(Print("30", null), Is.EqualTo(print).And.Match("^[0-9a-f]{64}$"));
        Assert.That(Print("31", null), Is.Not.EqualTo(Print("30", null)));
        Assert.That(Print("30", "one"), Is.EqualTo(Print("30", "other")).And.Not.EqualTo(Print("30", null)));
    }
}
