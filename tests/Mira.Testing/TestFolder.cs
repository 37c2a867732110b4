namespace Mira.Testing;

/// <summary>A folder of one test, deleted after it.</summary>
public sealed class TestFolder : IDisposable
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
