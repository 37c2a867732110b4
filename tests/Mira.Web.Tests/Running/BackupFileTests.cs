using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>The file of a backup: what is refused, and what a refusal or a kill leaves behind.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class BackupFileTests
{
    private TestFolder _folder = null!;
    private string _file = null!;
    private string _passphrase = null!;

    private (string, string) Elsewhere => ("MIRA_DATA_DIR", _folder.At("elsewhere"));

    [OneTimeSetUp]
    public async Task MakeAsync()
    {
        _folder = new TestFolder();
        (_file, _passphrase) = (_folder.At("mira.backup"), await BackupDrillTests.PassphraseAsync(_folder));
        await using (var mira = MiraHost.Start(folder: _folder))
            await mira.NewKeyAsync("viewer");
        var made = await BackupDrillTests.BackUpAsync(_folder, _file, "--passphrase-file", _passphrase);
        Assert.That((made.ExitCode, made.Error), Is.EqualTo((0, "")));
    }

    [OneTimeTearDown]
    public void Delete() => _folder.Dispose();

    [Test]
    public async Task A_file_that_is_damaged_cut_off_or_foreign_is_refused_whole()
    {
        var whole = await File.ReadAllBytesAsync(_file);
        // The tenth byte is a time in the header of the first part. Only the hash of the whole file covers it.
        var flipped = new[] { 10, whole.Length / 20, whole.Length / 3, whole.Length * 2 / 3, whole.Length * 9 / 10, whole.Length - 1 }.Select(place =>
        {
            var bytes = whole.ToArray();
            bytes[place] ^= 0x10;
            return bytes;
        });
        byte[][] bad =
        [
            .. flipped, whole[..(whole.Length / 2)], whole[..^1], whole[..10], [], Encoding.UTF8.GetBytes("not a backup"), await ForeignZipAsync(),
            await File.ReadAllBytesAsync(Path.Combine(_folder.Data, "mira.db")),
        ];
        foreach (var bytes in bad)
            await ExpectRefusedAsync(bytes, "is no backup of Mira, or it is damaged or cut off");
    }

    [Test]
    public async Task A_newer_format_is_named() => await ExpectRefusedAsync(await NewerAsync(), "made by a newer version of Mira (format 2");

    [Test]
    public async Task The_passphrase_must_be_the_right_one()
    {
        var wrong = _folder.At("wrong");
        await File.WriteAllTextAsync(wrong, "another passphrase\n");
        File.SetUnixFileMode(wrong, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        BackupDrillTests.ExpectRefusal(await RestoreAsync("--passphrase-file", wrong), "the passphrase is not the one of this backup");
        BackupDrillTests.ExpectRefusal(await RestoreAsync(), "--passphrase-file: must be given");
        await File.WriteAllTextAsync(wrong, "short\n");
        BackupDrillTests.ExpectRefusal(await BackupDrillTests.BackUpAsync(_folder, _folder.At("other"), "--passphrase-file", wrong), "at least 12 characters");
        ExpectNothingLeft();
        Assert.That(File.Exists(_folder.At("other")), Is.False);
    }

    [Test]
    public async Task A_folder_that_holds_a_store_or_other_secrets_is_left_as_it_is()
    {
        var before = await File.ReadAllBytesAsync(Path.Combine(_folder.Data, "mira.db"));
        var refused = await BackupDrillTests.RestoreAsync(_folder, _file, ["--passphrase-file", _passphrase]);
        BackupDrillTests.ExpectRefusal(refused, "holds a store already");
        Assert.That(await File.ReadAllBytesAsync(Path.Combine(_folder.Data, "mira.db")), Is.EqualTo(before));

        var used = _folder.Make("used");
        File.SetUnixFileMode(used, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await File.WriteAllTextAsync(Path.Combine(used, "pepper"), SharedStore.Pepper);
        refused = await BackupDrillTests.RestoreAsync(_folder, _file, ["--passphrase-file", _passphrase], ("MIRA_DATA_DIR", used));
        BackupDrillTests.ExpectRefusal(refused, "holds another secret than the backup");
        Assert.That(Directory.GetFileSystemEntries(used).Select(Path.GetFileName), Is.EqualTo(new[] { "pepper" }));
    }

    [Test]
    public async Task A_file_is_replaced_only_when_that_is_asked_for()
    {
        var file = _folder.At("again");
        await File.WriteAllTextAsync(file, "mine");
        BackupDrillTests.ExpectRefusal(await BackupDrillTests.BackUpAsync(_folder, file), "--replace");
        Assert.That(await File.ReadAllTextAsync(file), Is.EqualTo("mine"));
        Assert.That((await BackupDrillTests.BackUpAsync(_folder, file, "--replace")).ExitCode, Is.Zero);
        Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        BackupDrillTests.ExpectRefusal(await BackupDrillTests.BackUpAsync(_folder, _folder.At("nowhere", "file")), "--to");
    }

    [Test]
    public async Task A_kill_in_the_middle_leaves_no_file()
    {
        var file = _folder.At("killed");
        for (var round = 0; round < Rounds.Of(3); round++)
        {
            await using var backup = MiraProcess.Begin(_folder, ["backup", "--to", file, "--passphrase-file", _passphrase]);
            await MiraProcess.WaitForAsync(() => Task.FromResult(backup.Process.HasExited || Directory.GetDirectories(_folder.Root, "killed.*.tmp").Length > round));
            backup.Signal("KILL");
            await backup.Process.WaitForExitAsync();
            Assert.That(File.Exists(file), Is.False);
        }

        Assert.That((await BackupDrillTests.BackUpAsync(_folder, file)).ExitCode, Is.Zero);
    }

    [TestCase("sqlite", "there is no store in the data folder")]
    [TestCase("postgres", "use pg_dump or a base backup")]
    [TestCase("airtable", "`store copy --from airtable --to sqlite:DIR`")]
    public async Task A_store_that_cannot_be_backed_up_is_one_line(string store, string said)
    {
        (string, string)[] settings = [("MIRA_STORE", store), Elsewhere, ("AIRTABLE_TOKEN", "pat"), ("AIRTABLE_BASE_ID", "app00000000000000")];
        BackupDrillTests.ExpectRefusal(await MiraProcess.RunAsync(_folder, ["backup", "--to", _folder.At("none")], settings), said);
        if (store != "sqlite")
            BackupDrillTests.ExpectRefusal(await MiraProcess.RunAsync(_folder, ["restore", "--from", _file], settings), said);
        ExpectNothingLeft();
    }

    private Task<(int ExitCode, string Output, string Error)> RestoreAsync(params string[] options) =>
        BackupDrillTests.RestoreAsync(_folder, _file, options, Elsewhere);

    private async Task ExpectRefusedAsync(byte[] content, string said)
    {
        var bad = _folder.At("bad");
        await File.WriteAllBytesAsync(bad, content);
        BackupDrillTests.ExpectRefusal(await BackupDrillTests.RestoreAsync(_folder, bad, ["--passphrase-file", _passphrase], Elsewhere), said);
        ExpectNothingLeft();
    }

    private void ExpectNothingLeft() => Assert.That(Directory.Exists(_folder.At("elsewhere")), Is.False, "nothing is left behind");

    private static async Task<byte[]> ForeignZipAsync()
    {
        using var bytes = new MemoryStream();
        await using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
            await WriteAsync(zip, "readme.txt", "hello"u8.ToArray());
        return bytes.ToArray();
    }

    /// <summary>The same backup with a manifest of a later format, and the hash of that.</summary>
    private async Task<byte[]> NewerAsync()
    {
        using var bytes = new MemoryStream();
        await bytes.WriteAsync(await File.ReadAllBytesAsync(_file));
        await using (var zip = new ZipArchive(bytes, ZipArchiveMode.Update, leaveOpen: true))
        {
            using var reader = new StreamReader(await zip.GetEntry("manifest.json")!.OpenAsync());
            var manifest = Encoding.UTF8.GetBytes((await reader.ReadToEndAsync()).Replace("\"format_version\": 1", "\"format_version\": 2", StringComparison.Ordinal));
            reader.Dispose();
            zip.GetEntry("manifest.json")!.Delete();
            zip.GetEntry("manifest.json.sha256")!.Delete();
            await WriteAsync(zip, "manifest.json", manifest);
            await WriteAsync(zip, "manifest.json.sha256", Encoding.ASCII.GetBytes($"{Convert.ToHexStringLower(SHA256.HashData(manifest))}  manifest.json\n"));
        }

        return bytes.ToArray();
    }

    private static async Task WriteAsync(ZipArchive zip, string name, byte[] content)
    {
        await using var target = await zip.CreateEntry(name).OpenAsync();
        await target.WriteAsync(content);
    }
}
