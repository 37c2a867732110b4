using Mira.Application.Settings;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Tests.Files;

public sealed class PeppersTests : IDisposable
{
    private static readonly string One = TextOf(1);
    private static readonly string Two = TextOf(2);

    private readonly Dictionary<string, string?> _values = [];
    private TestFolder _folder = null!;
    private DataFolder _data = null!;

    [SetUp]
    public void SetUp()
    {
        _values.Clear();
        _folder = new TestFolder();
        _data = DataFolder.At(_folder.Make("data"), _folder.Make("app"));
    }

    [TearDown]
    public void Dispose() => _folder.Dispose();

    [Test]
    public void Without_one_given_one_is_made_once_and_kept_for_its_owner_alone()
    {
        var first = Load();
        var second = Load();

        Assert.That(second.Current.Id, Is.EqualTo(first.Current.Id));
        Assert.That(File.GetUnixFileMode(_data.Pepper), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(Convert.FromBase64String(File.ReadAllText(_data.Pepper)), Has.Length.EqualTo(32));
    }

    [Test]
    public void Two_that_are_made_differ()
    {
        var first = Load();
        File.Delete(_data.Pepper);

        Assert.That(Load().Current.Id, Is.Not.EqualTo(first.Current.Id));
    }

    [Test]
    public void One_that_is_given_counts_and_none_is_made()
    {
        _values["MIRA_PEPPER"] = One;

        Assert.That(Ids(Load()), Is.EqualTo(new[] { HeldKey.PepperOf(1).Id }));
        Assert.That(File.Exists(_data.Pepper), Is.False);
    }

    [Test]
    public void One_can_be_given_in_a_file()
    {
        File.WriteAllText(_folder.At("given"), One + "\n");
        _values["MIRA_PEPPER_FILE"] = _folder.At("given");

        Assert.That(Load().Current.Id, Is.EqualTo(HeldKey.PepperOf(1).Id));
    }

    [Test]
    public void Both_at_once_are_refused()
    {
        _values["MIRA_PEPPER"] = One;
        _values["MIRA_PEPPER_FILE"] = _folder.At("given");

        Assert.That(Load, Refused("MIRA_PEPPER"));
    }

    [Test]
    public void Retired_ones_are_a_list()
    {
        _values["MIRA_PEPPER"] = One;
        _values["MIRA_PEPPER_RETIRED"] = $"{Two}, {TextOf(3)}";

        Assert.That(Ids(Load()), Is.EqualTo(new byte[] { 1, 2, 3 }.Select(seed => HeldKey.PepperOf(seed).Id)));
    }

    [Test]
    public void Its_own_counts_as_retired_once_another_is_given()
    {
        var own = Load().Current.Id;
        _values["MIRA_PEPPER"] = One;

        Assert.That(Ids(Load()), Is.EqualTo(new[] { HeldKey.PepperOf(1).Id, own }));
    }

    [Test]
    public void Others_may_be_retired_beside_its_own()
    {
        _values["MIRA_PEPPER_RETIRED"] = Two;

        var ring = Load();

        Assert.That(Ids(ring), Is.EqualTo(new[] { ring.Current.Id, HeldKey.PepperOf(2).Id }));
        Assert.That(File.Exists(_data.Pepper));
    }

    [Test]
    public void A_folder_that_holds_keys_and_has_lost_their_pepper_is_refused()
    {
        File.WriteAllText(_data.Database, "keys");

        Assert.That(Load, Refused("MIRA_PEPPER"));
        Assert.That(File.Exists(_data.Pepper), Is.False);
    }

    [Test]
    public void A_folder_whose_database_is_still_empty_gets_one()
    {
        File.WriteAllText(_data.Database, "");

        Assert.That(Load, Throws.Nothing);
    }

    [TestCase("short")]
    [TestCase("AAAA")]
    [TestCase("not base64 at all, though it is long enough to be one")]
    public void What_is_no_pepper_is_refused_and_not_shown(string text)
    {
        foreach (var setting in new[] { "MIRA_PEPPER", "MIRA_PEPPER_RETIRED" })
        {
            _values.Clear();
            _values[setting] = text;
            Assert.That(Load, Refused(setting, hidden: text));
        }

        File.WriteAllText(_folder.At("given"), text);
        _values.Clear();
        _values["MIRA_PEPPER_FILE"] = _folder.At("given");
        Assert.That(Load, Refused("MIRA_PEPPER_FILE", hidden: text));
    }

    [Test]
    public void A_file_that_cannot_be_read_is_refused()
    {
        _values["MIRA_PEPPER_FILE"] = _folder.At("missing");

        Assert.That(Load, Refused("MIRA_PEPPER_FILE"));
    }

    [Test]
    public void Its_own_that_is_damaged_is_refused_and_not_replaced()
    {
        File.WriteAllText(_data.Pepper, "x");

        Assert.That(Load, Refused("MIRA_PEPPER"));
        Assert.That(File.ReadAllText(_data.Pepper), Is.EqualTo("x"));
    }

    private static string TextOf(byte seed) => Convert.ToBase64String(Enumerable.Repeat(seed, Pepper.MinimumSize).ToArray());

    private static IEnumerable<string> Ids(PepperRing ring) => ring.All.Select(pepper => pepper.Id);

    private static NUnit.Framework.Constraints.Constraint Refused(string setting, string? hidden = null)
    {
        var refused = Throws.TypeOf<SettingException>().With.Message.StartsWith($"{setting}: ");
        return hidden is null ? refused : refused.And.Message.Not.Contains(hidden);
    }

    private PepperRing Load() => Peppers.Load(new SettingReader(_values.GetValueOrDefault), _data);
}
