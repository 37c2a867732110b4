using Microsoft.Extensions.Time.Testing;
using Mira.Application.Settings;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Tests.Files;

public sealed class ProcessLockTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private TestFolder _folder = null!;
    private FakeTimeProvider _clock = null!;
    private string _path = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = new TestFolder();
        _path = _folder.At("mira.lock");
        _clock = new FakeTimeProvider();
    }

    [TearDown]
    public void Dispose() => _folder.Dispose();

    [Test]
    public async Task A_lock_is_its_owners_alone()
    {
        using var first = await TakeAsync();

        Assert.That(File.GetUnixFileMode(_path), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(first.IsReleased, Is.False);
    }

    [Test]
    public async Task A_second_taker_is_refused_when_its_patience_ends_and_not_before()
    {
        using var first = await TakeAsync();
        var second = TakeAsync();
        Assert.That(second.IsCompleted, Is.False);

        _clock.Advance(Patience + TimeSpan.FromSeconds(1));

        Assert.That(async () => await second, Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_DATA_DIR: "));
    }

    [Test]
    public async Task A_second_taker_waits_until_the_first_lets_go()
    {
        var first = await TakeAsync();
        var second = TakeAsync();
        Assert.That(second.IsCompleted, Is.False);

        first.Dispose();
        _clock.Advance(TimeSpan.FromSeconds(1));

        using var taken = await second;
        Assert.That(first.IsReleased);
        Assert.That(taken.IsReleased, Is.False);
    }

    [Test]
    public async Task Who_is_stopped_while_it_waits_stops()
    {
        using var first = await TakeAsync();
        using var stop = new CancellationTokenSource();
        var second = ProcessLock.TakeAsync(_path, Patience, _clock, stop.Token);

        await stop.CancelAsync();

        Assert.That(async () => await second, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void A_folder_that_is_missing_is_not_waited_for() =>
        Assert.That(
            () => ProcessLock.TakeAsync(_folder.At("missing", "mira.lock"), Patience, _clock, CancellationToken.None),
            Throws.InstanceOf<DirectoryNotFoundException>());

    private Task<ProcessLock> TakeAsync() => ProcessLock.TakeAsync(_path, Patience, _clock, CancellationToken.None);
}
