using Mira.Application.Settings;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Tests.Files;

public sealed class DataFolderTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode ForAll = OwnerOnly | UnixFileMode.OtherRead | UnixFileMode.OtherExecute | UnixFileMode.OtherWrite;

    private TestFolder _folder = null!;
    private string _program = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = new TestFolder();
        _program = _folder.Make("program");
    }

    [TearDown]
    public void Dispose() => _folder.Dispose();

    [Test]
    public void A_new_folder_is_its_owners_alone()
    {
        var data = DataFolder.At(_folder.At("deep", "data"), _program);
        data.Prepare();

        Assert.That(File.GetUnixFileMode(data.Path), Is.EqualTo(OwnerOnly));
        Assert.That(Directory.GetFileSystemEntries(data.Path), Is.Empty, "nothing is left of trying it");
        Assert.That(data.Database, Is.EqualTo(_folder.At("deep", "data", "mira.db")));
    }

    [Test]
    public void A_folder_that_others_can_read_is_closed_to_them()
    {
        var data = DataFolder.At(_folder.Make("data"), _program);
        File.SetUnixFileMode(data.Path, OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

        data.Prepare();

        Assert.That(File.GetUnixFileMode(data.Path), Is.EqualTo(OwnerOnly));
    }

    [Test]
    public void Folders_of_other_people_are_left_as_they_are_and_used_by_a_folder_of_its_own_alone()
    {
        var common = _folder.Make("tmp");
        File.SetUnixFileMode(common, ForAll);

        DataFolder.At(Path.Combine(common, "data"), _program).Prepare();
        Assert.Throws<SettingException>(DataFolder.At(common, _program).Prepare);

        Assert.That(File.GetUnixFileMode(common), Is.EqualTo(ForAll));
    }

    [TestCase("program")]
    [TestCase("program/")]
    [TestCase("program/data")]
    [TestCase("program/../program/a/b")]
    [TestCase("program/..data")]
    public void A_folder_inside_the_program_is_refused(string path) =>
        DemandRefused(() => DataFolder.At(_folder.At(path), _program));

    [TestCase("programs")]
    [TestCase("program/../data")]
    [TestCase("")]
    public void A_folder_beside_the_program_or_around_it_is_taken(string path) =>
        Assert.That(() => DataFolder.At(_folder.At(path), _program), Throws.Nothing);

    [Test]
    public void A_link_into_the_program_is_inside_it()
    {
        Directory.CreateSymbolicLink(_folder.At("link"), _program);

        DemandRefused(() => DataFolder.At(_folder.At("link"), _program));
        DemandRefused(() => DataFolder.At(_folder.At("link", "data"), _program));
    }

    [Test]
    public void A_link_through_another_link_into_the_program_is_inside_it()
    {
        Directory.CreateSymbolicLink(_folder.At("first"), _program);
        _folder.Make("program", "sub");
        Directory.CreateSymbolicLink(_folder.At("second"), _folder.At("first", "sub"));

        DemandRefused(() => DataFolder.At(_folder.At("second", "data"), _program));
    }

    [Test]
    public void A_program_that_is_reached_by_a_link_is_the_same_program()
    {
        Directory.CreateSymbolicLink(_folder.At("current"), _program);

        DemandRefused(() => DataFolder.At(_folder.At("program", "data"), _folder.At("current")));
    }

    [Test]
    public void Without_a_folder_given_it_is_below_the_users_own() =>
        Assert.That(Path.GetFileName(DataFolder.At(null, _program).Path), Is.EqualTo("mira"));

    [Test]
    public void A_file_in_its_place_stops_the_start()
    {
        File.WriteAllText(_folder.At("data"), "");

        DemandRefused(() => DataFolder.At(_folder.At("data"), _program).Prepare());
    }

    private static void DemandRefused(Action take) =>
        Assert.That(() => take(), Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_DATA_DIR: "));
}
