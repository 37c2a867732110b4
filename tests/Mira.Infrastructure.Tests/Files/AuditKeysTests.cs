using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Tests.Files;

public sealed class AuditKeysTests : IDisposable
{
    private TestFolder _folder = null!;
    private readonly Dictionary<string, string> _values = [];
    private DataFolder _data = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = new TestFolder();
        _values.Clear();
        _data = DataFolder.At(_folder.Make("data"), _folder.Make("app"));
    }

    [TearDown]
    public void Dispose() => _folder.Dispose();

    [Test]
    public void It_is_made_once_for_its_owner_alone()
    {
        var made = Load();
        Assert.That(Load().Public, Is.EqualTo(made.Public));
        Assert.That(File.GetUnixFileMode(_data.AuditKey), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(made.Earlier, Is.Empty);
    }

    [Test]
    public void One_that_is_given_goes_first_and_no_file_in_the_folder_says_whom_to_believe()
    {
        var own = Load();
        var before = AuditKey.Generate();
        AuditKeys.Publish(_data, before.Public);
        Assert.That(Load().Earlier, Is.EqualTo(new[] { before.Public }), "while the key itself lies there too");

        var given = AuditKey.Generate();
        _values["MIRA_AUDIT_KEY"] = given.ExportPem();
        Assert.That(Load().Public, Is.EqualTo(given.Public));
        Assert.That(Load().Earlier, Is.Empty);
        _values["MIRA_AUDIT_KEY"] = given.ExportPem() + own.Public.ExportPem();
        Assert.That(Load().Earlier, Is.EqualTo(new[] { own.Public }));
        Assert.That(AuditKeys.FindInFolder(_data).Own, Is.EqualTo(own.Public));
        Assert.That(AuditKeys.FindInFolder(_data).Published, Is.EqualTo(new[] { before.Public }));
        AuditKeys.Publish(_data, given.Public);
        Assert.That(File.ReadAllText(_data.AuditPublicKey), Is.EqualTo(given.Public.ExportPem()));
        Assert.That(AuditKeys.FindPublic(Reader, _data), Is.EqualTo(given.Public));
        _values.Clear();
        Assert.That(AuditKeys.FindPublic(Reader, _data), Is.EqualTo(given.Public), "by the file beside the data");
    }

    [Test]
    public void A_shared_store_demands_one()
    {
        Assert.That(() => AuditKeys.Demand(Reader), Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_AUDIT_KEY: ").And.Message.Contains("MIRA_AUDIT_KEY_FILE"));
        var given = AuditKey.Generate();
        _values["MIRA_AUDIT_KEY_FILE"] = _folder.At("given");
        File.WriteAllText(_folder.At("given"), given.ExportPem());
        Assert.That(AuditKeys.Demand(Reader).Public, Is.EqualTo(given.Public));
        _values["MIRA_AUDIT_KEY"] = given.ExportPem();
        Assert.That(() => AuditKeys.Demand(Reader), Throws.TypeOf<SettingException>().With.Message.Contains("together"));
    }

    [Test]
    public void One_in_a_single_line_is_taken()
    {
        var given = AuditKey.Generate();
        _values["MIRA_AUDIT_KEY"] = given.ExportPem().Replace("\n", "\\n", StringComparison.Ordinal);
        Assert.That(AuditKeys.Demand(Reader).Public, Is.EqualTo(given.Public));
    }

    private SettingReader Reader => new(name => _values.GetValueOrDefault(name));

    private AuditKey Load() => AuditKeys.Load(Reader, _data);
}
