using System.Diagnostics;
using System.Security.Cryptography;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Tests.Files;

/// <summary>Which folders and secret files are believed, by their real modes and owners.</summary>
public sealed class FileTrustTests : IDisposable
{
    private TestFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TestFolder();

    [TearDown]
    public void Dispose() => _folder.Dispose();

    [TestCase("0720")]
    [TestCase("0770")]
    [TestCase("0702")]
    [TestCase("0777")]
    [TestCase("1777")]
    [TestCase("2775")]
    public void A_data_folder_that_others_may_write_is_refused(string mode)
    {
        var data = DataFolder.At(WithMode(_folder.Make("data"), mode), _folder.At("program"));

        var refusal = Assert.Throws<SettingException>(data.Prepare);

        Assert.That(refusal!.Message, Does.StartWith("MIRA_DATA_DIR: ").And.Contain($"mode {mode}").And.Contain(data.Path));
        Assert.That(Directory.GetFileSystemEntries(data.Path), Is.Empty);
    }

    [TestCase("0700")]
    [TestCase("0750")]
    [TestCase("0755")]
    public void A_data_folder_that_others_may_only_read_is_taken(string mode) =>
        DataFolder.At(WithMode(_folder.Make("data"), mode), _folder.At("program")).Prepare();

    [Test]
    public void A_data_folder_of_another_user_is_refused()
    {
        var data = DataFolder.At(GiveAway(_folder.Make("data")), _folder.At("program"));
        Assert.That(Assert.Throws<SettingException>(data.Prepare)!.Message, Does.StartWith("MIRA_DATA_DIR: ").And.Contain("belongs to user 65534"));
    }

    [TestCase("0600")]
    [TestCase("0400")]
    [TestCase("0440")]
    [TestCase("0444")]
    [TestCase("0644")]
    public void A_secret_file_that_others_may_only_read_is_taken(string mode)
    {
        Assert.That(LoadPepper(WithMode(PepperFile(), mode)).Id, Is.Not.Null);
        Assert.That(LoadAuditKey(WithMode(AuditKeyFile(), mode)), Is.Not.Null);
    }

    [TestCase("0620")]
    [TestCase("0660")]
    [TestCase("0602")]
    [TestCase("0666")]
    public void A_secret_file_that_others_may_write_is_refused(string mode)
    {
        var (pepper, audit) = (WithMode(PepperFile(), mode), WithMode(AuditKeyFile(), mode));
        Assert.That(Assert.Throws<SettingException>(() => LoadPepper(pepper))!.Message, Does.StartWith("MIRA_PEPPER_FILE: ").And.Contain($"mode {mode}"));
        Assert.That(Assert.Throws<SettingException>(() => LoadAuditKey(audit))!.Message, Does.StartWith("MIRA_AUDIT_KEY_FILE: ").And.Contain($"mode {mode}"));
    }

    [Test]
    public void A_secret_file_counts_as_what_its_link_leads_to()
    {
        var link = _folder.At("link");
        File.CreateSymbolicLink(link, WithMode(PepperFile(), "0666"));
        Assert.That(Assert.Throws<SettingException>(() => LoadPepper(link))!.Message, Does.Contain("mode 0666"));
    }

    [Test]
    public void A_secret_file_of_another_user_is_refused()
    {
        var (pepper, audit) = (GiveAway(PepperFile()), GiveAway(AuditKeyFile()));
        Assert.That(Assert.Throws<SettingException>(() => LoadPepper(pepper))!.Message, Does.StartWith("MIRA_PEPPER_FILE: ").And.Contain("belongs to user 65534"));
        Assert.That(Assert.Throws<SettingException>(() => LoadAuditKey(audit))!.Message, Does.StartWith("MIRA_AUDIT_KEY_FILE: ").And.Contain("belongs to user 65534"));
    }

    [Test]
    public void Secrets_that_lie_in_the_data_folder_are_held_to_the_same()
    {
        var folder = DataFolder.At(_folder.At("data"), _folder.At("program"));
        folder.Prepare();
        Peppers.Load(None, folder);
        AuditKeys.Load(None, folder);
        WithMode(folder.Pepper, "0660");
        WithMode(folder.AuditKey, "0606");

        Assert.That(Assert.Throws<SettingException>(() => Peppers.Load(None, folder))!.Message, Does.StartWith("MIRA_PEPPER: ").And.Contain("mode 0660"));
        Assert.That(Assert.Throws<SettingException>(() => AuditKeys.Load(None, folder))!.Message, Does.StartWith("MIRA_AUDIT_KEY: ").And.Contain("mode 0606"));
    }

    [TestCase("0777", true)]
    [TestCase("0770", true)]
    [TestCase("1777", false)]
    [TestCase("0755", false)]
    public void The_first_admin_key_goes_into_no_folder_where_others_could_replace_it(string mode, bool refused)
    {
        var file = Path.Combine(WithMode(_folder.Make("out"), mode), "admin");
        var write = () => FileTrust.DemandFolderOf("MIRA_BOOTSTRAP_KEY_FILE", file);
        Assert.That(write, refused ? Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_BOOTSTRAP_KEY_FILE: ") : Throws.Nothing);
    }

    private static SettingReader None => new(_ => null);

    private static Mira.Domain.Tokens.Pepper LoadPepper(string file) => Peppers.Demand(new SettingReader(name => name == Peppers.FileSetting ? file : null)).Current;

    private static AuditKey LoadAuditKey(string file) => AuditKeys.Demand(new SettingReader(name => name == "MIRA_AUDIT_KEY_FILE" ? file : null));

    private string PepperFile() => Write("pepper", Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));

    private string AuditKeyFile() => Write("audit", AuditKey.Generate().ExportPem());

    private string Write(string name, string text)
    {
        File.WriteAllText(_folder.At(name), text);
        return _folder.At(name);
    }

    private static string WithMode(string path, string octal)
    {
        File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32(octal, 8));
        return path;
    }

    // Only root can give something to somebody else.
    private static string GiveAway(string path)
    {
        Assume.That(Environment.IsPrivilegedProcess, "needs root");
        using var change = Process.Start("chown", ["65534", path]);
        change.WaitForExit();
        Assert.That(change.ExitCode, Is.Zero);
        return path;
    }
}
