namespace Mira.Infrastructure.Tests;

/// <summary>A folder of one test, gone after it.</summary>
internal sealed class TestFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("mira-test-").FullName;

    public string At(params string[] parts) => Path.Combine([Root, .. parts]);

    public string Make(params string[] parts) => Directory.CreateDirectory(At(parts)).FullName;

    public void Dispose()
    {
        if (Directory.Exists(Root))
            Directory.Delete(Root, recursive: true);
    }
}
