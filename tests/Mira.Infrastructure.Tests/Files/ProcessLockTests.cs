using Mira.Application.Settings;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Tests.Files;

public sealed class ProcessLockTests : IDisposable
{
    private TestFolder _folder = null!;
    private string _path = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = new TestFolder();
        _path = _folder.At("mira.lock");
    }

    [TearDown]
    public void Dispose() => _folder.Dispose();

    [Test]
    public async Task A_second_taker_is_refused_when_its_patience_ends()
    {
        using var first = await TakeAsync(TimeSpan.Zero);

        Assert.That(() => TakeAsync(TimeSpan.Zero), Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_DATA_DIR: "));
        Assert.That(first.IsReleased, Is.False);
    }

    [Test]
    public async Task A_second_taker_waits_until_the_first_lets_go()
    {
        var first = await TakeAsync(TimeSpan.Zero);
        var second = TakeAsync(TimeSpan.FromSeconds(20));
        Assert.That(second.IsCompleted, Is.False);

        first.Dispose();

        using var taken = await second;
        Assert.That(first.IsReleased);
        Assert.That(taken.IsReleased, Is.False);
    }

    [Test]
    public async Task Who_is_stopped_while_it_waits_stops()
    {
        using var first = await TakeAsync(TimeSpan.Zero);
        using var stop = new CancellationTokenSource();
        var second = ProcessLock.TakeAsync(_path, TimeSpan.FromSeconds(20), stop.Token);

        await stop.CancelAsync();

        Assert.That(async () => await second, Throws.InstanceOf<OperationCanceledException>());
    }

    private Task<ProcessLock> TakeAsync(TimeSpan patience) => ProcessLock.TakeAsync(_path, patience, CancellationToken.None);
}
