using Mira.Application.Admins;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Tests.Files;

public sealed class SafeFileTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private TestFolder _folder = null!;
    private string _path = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = new TestFolder();
        _path = _folder.At("secret");
    }

    [TearDown]
    public void Dispose() => _folder.Dispose();

    [Test]
    public void What_is_written_is_readable_by_its_owner_alone()
    {
        SafeFile.Write(_path, "content", replace: false);

        Assert.That(File.ReadAllText(_path), Is.EqualTo("content"));
        Assert.That(File.GetUnixFileMode(_path), Is.EqualTo(OwnerOnly));
    }

    [Test]
    public void A_token_ends_its_line()
    {
        ((ITokenFile)new SafeFile()).Write(_path, "token", replace: false);

        Assert.That(File.ReadAllText(_path), Is.EqualTo("token\n"));
    }

    [Test]
    public void A_file_that_is_there_is_kept_unless_it_may_be_replaced()
    {
        File.WriteAllText(_path, "before");

        Assert.That(() => SafeFile.Write(_path, "after", replace: false), Throws.InstanceOf<IOException>());
        Assert.That(File.ReadAllText(_path), Is.EqualTo("before"));

        SafeFile.Write(_path, "after", replace: true);
        Assert.That(File.ReadAllText(_path), Is.EqualTo("after"));
        Assert.That(File.GetUnixFileMode(_path), Is.EqualTo(OwnerOnly), "whatever it was before");
    }

    [Test]
    public void Who_has_the_old_file_open_goes_on_reading_the_old_one()
    {
        File.WriteAllText(_path, "before");
        using var reader = new StreamReader(_path);

        SafeFile.Write(_path, "after", replace: true);

        Assert.That(reader.ReadToEnd(), Is.EqualTo("before"), "never half of each");
    }

    [Test]
    public void A_link_in_its_place_is_replaced_and_not_followed()
    {
        File.WriteAllText(_folder.At("elsewhere"), "theirs");
        File.CreateSymbolicLink(_path, _folder.At("elsewhere"));

        SafeFile.Write(_path, "ours", replace: true);

        Assert.That(File.ReadAllText(_folder.At("elsewhere")), Is.EqualTo("theirs"));
        Assert.That(File.ReadAllText(_path), Is.EqualTo("ours"));
    }

    [Test]
    public void Nothing_is_left_beside_it()
    {
        SafeFile.Write(_path, "content", replace: false);
        Assert.That(() => SafeFile.Write(_path, "content", replace: false), Throws.Exception);
        Directory.CreateDirectory(_folder.At("folder", "inside"));
        Assert.That(() => SafeFile.Write(_folder.At("folder"), "content", replace: true), Throws.Exception);

        Assert.That(Directory.GetFileSystemEntries(_folder.Root).Select(Path.GetFileName), Is.EquivalentTo(new[] { "secret", "folder" }));
    }

    [Test]
    public void A_folder_that_is_missing_is_told_as_such() =>
        Assert.That(() => SafeFile.Write(_folder.At("missing", "secret"), "content", replace: true), Throws.InstanceOf<IOException>());

    [Test]
    public void Touching_makes_an_empty_file_or_closes_the_one_that_is_there()
    {
        SafeFile.Touch(_path);
        Assert.That(new FileInfo(_path).Length, Is.Zero);
        Assert.That(File.GetUnixFileMode(_path), Is.EqualTo(OwnerOnly));

        File.WriteAllText(_path, "content");
        File.SetUnixFileMode(_path, OwnerOnly | UnixFileMode.OtherRead);
        SafeFile.Touch(_path);
        Assert.That(File.ReadAllText(_path), Is.EqualTo("content"));
        Assert.That(File.GetUnixFileMode(_path), Is.EqualTo(OwnerOnly));
    }
}
