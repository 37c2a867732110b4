using System.Net;
using System.Security.Cryptography;
using System.Text;
using BenchmarkDotNet.Attributes;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Benchmarks;

/// <summary>
/// What one decision costs when its entry is warm. The baseline is the cryptography alone, SHA-256 and HMAC-SHA-256,
/// which no verification can do without.
/// </summary>
[MemoryDiagnoser]
public class VerificationBenchmarks
{
    private readonly byte[] _pepper = RandomNumberGenerator.GetBytes(32);
    private Node _node = null!;
    private Verifier _verifier = null!;
    private string _good = "";
    private string _badChecksum = "";
    private string _unknownId = "";
    private string _wrongSecret = "";

    [GlobalSetup]
    public async Task Setup()
    {
        _node = await Node.StartAsync();
        _verifier = _node.Verifier;
        _good = await _node.CreateAsync();
        _badChecksum = _good[..^1] + (_good[^1] == '0' ? '1' : '0');
        _unknownId = Token.Generate(KeyId.Generate()).Reveal();
        _wrongSecret = Token.Generate(KeyId.TryParse(_good[..KeyId.Length], out var id) ? id : default).Reveal();
        await Demand(_good, VerdictCode.Valid);
        await Demand(_badChecksum, VerdictCode.InvalidKey);
        await Demand(_unknownId, VerdictCode.InvalidKey);
        await Demand(_wrongSecret, VerdictCode.InvalidKey);
    }

    [GlobalCleanup]
    public async Task Cleanup() => await _node.DisposeAsync();

    [Benchmark(Baseline = true, Description = "hash and HMAC alone")]
    public bool Cryptography()
    {
        Span<byte> ascii = stackalloc byte[Token.Length];
        Span<byte> hash = stackalloc byte[32];
        Encoding.ASCII.GetBytes(_good, ascii);
        SHA256.HashData(ascii, hash);
        HMACSHA256.HashData(_pepper, hash, hash);
        return CryptographicOperations.FixedTimeEquals(hash, _pepper);
    }

    [Benchmark(Description = "good key")]
    public ValueTask<Verification> Good() => _verifier.VerifyAsync(_good, IPAddress.Loopback);

    [Benchmark(Description = "wrong secret")]
    public ValueTask<Verification> WrongSecret() => _verifier.VerifyAsync(_wrongSecret, IPAddress.Loopback);

    [Benchmark(Description = "unknown id")]
    public ValueTask<Verification> UnknownId() => _verifier.VerifyAsync(_unknownId, IPAddress.Loopback);

    [Benchmark(Description = "bad checksum")]
    public ValueTask<Verification> BadChecksum() => _verifier.VerifyAsync(_badChecksum, IPAddress.Loopback);

    private async Task Demand(string token, VerdictCode code)
    {
        var verdict = (await _verifier.VerifyAsync(token, IPAddress.Loopback)).Verdict.Code;
        if (verdict != code)
            throw new InvalidOperationException($"The benchmark would measure {verdict} instead of {code}.");
    }
}
