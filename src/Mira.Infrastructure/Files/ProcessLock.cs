using Mira.Application.Settings;

namespace Mira.Infrastructure.Files;

/// <summary>
/// Held by the one process that may write the data folder; the operating system lets go of it when the process dies.
/// </summary>
public sealed class ProcessLock : IDisposable
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(100);

    private readonly FileStream _file;

    private ProcessLock(FileStream file) => _file = file;

    /// <summary>Waits for the process before this one to end, so that a restart need not be timed.</summary>
    /// <exception cref="SettingException">Another process still holds it after <paramref name="timeout"/>.</exception>
    public static async Task<ProcessLock> TakeAsync(string path, TimeSpan timeout, TimeProvider clock, CancellationToken cancellationToken)
    {
        // Made and locked in one step: opening it for anything else fails while another process holds it.
        var options = new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        var started = clock.GetTimestamp();
        while (true)
        {
            try
            {
                return new ProcessLock(new FileStream(path, options));
            }
            catch (IOException exception) when (exception is not DirectoryNotFoundException)
            {
                if (clock.GetElapsedTime(started) > timeout)
                    throw new SettingException(DataFolder.Setting, "another process is using this data folder", exception);
            }

            await Task.Delay(Retry, clock, cancellationToken);
        }
    }

    public bool IsReleased { get; private set; }

    public void Dispose()
    {
        IsReleased = true;
        _file.Dispose();
    }
}
