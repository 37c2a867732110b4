using BenchmarkDotNet.Attributes;
using Microsoft.Win32.SafeHandles;

namespace Mira.Benchmarks;

/// <summary>
/// What one durable change costs: a key made, its event chained, both committed and synced to the disk. The baseline
/// writes and syncs 4 KiB at the end of a file, which is the least any store can do. Creates per second = 1 / mean.
/// </summary>
[MemoryDiagnoser]
public class CreationBenchmarks
{
    private readonly byte[] _page = new byte[4096];
    private Node _node = null!;
    private string _file = "";
    private SafeFileHandle _handle = null!;
    private long _offset;

    [GlobalSetup]
    public async Task Setup()
    {
        _node = await Node.StartAsync();
        _file = Path.GetTempFileName();
        _handle = File.OpenHandle(_file, FileMode.Open, FileAccess.Write);
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        await _node.DisposeAsync();
        _handle.Dispose();
        File.Delete(_file);
    }

    [Benchmark(Baseline = true, Description = "write and fsync 4 KiB")]
    public void WriteAndSync()
    {
        RandomAccess.Write(_handle, _page, _offset);
        RandomAccess.FlushToDisk(_handle);
        _offset += _page.Length;
    }

    [Benchmark(Description = "create a key")]
    public Task<string> CreateKey() => _node.CreateAsync();
}
