using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Serialization;

namespace Mira.Load;

/// <summary>Calls one server with keys that it makes for the run, or with the one key it was given.</summary>
public sealed class Caller : IDisposable
{
    private const int CreatedAtOnce = 8;
    private const int WrongKeys = 10;

    private readonly HttpClient _http;
    private readonly string? _key;
    private readonly List<Created> _created = [];
    private string[] _good = [];
    private string[] _wrong = [];

    /// <param name="key">A key that may create keys, or any key that works; null where none is needed.</param>
    public Caller(Uri address, string? key)
    {
        _key = key;
        // Redirects, cookies and a proxy would measure something else.
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            MaxConnectionsPerServer = 512,
        };
        _http = new HttpClient(handler) { BaseAddress = address, Timeout = TimeSpan.FromSeconds(60) };
    }

    /// <summary>How many keys call in turn.</summary>
    public int Keys => _good.Length;

    /// <summary>
    /// Makes the keys of a scenario, and some that are revoked again. A key that may not create any calls itself
    /// instead.
    /// </summary>
    public async Task PrepareAsync(int keys, bool withWrong, CancellationToken cancellationToken)
    {
        if (_key is null)
        {
            _good = [""];
            return;
        }

        var wanted = keys + (withWrong ? WrongKeys : 0);
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = CreatedAtOnce, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, wanted, atOnce, async (_, token) => await CreateAsync(token));
        if (_created.Count == 0)
        {
            _good = [_key];
            _wrong = [Bend(_key)];
            return;
        }

        var revoked = _created.Take(withWrong ? Math.Min(WrongKeys, _created.Count / 2) : 0).ToList();
        foreach (var key in revoked)
            await RevokeAsync(key, cancellationToken);
        _good = [.. _created.Skip(revoked.Count).Select(key => key.ApiKey)];
        // Half are refused for their checksum, half after a look at the key.
        _wrong = [.. revoked.Select(key => key.ApiKey), .. _good.Take(WrongKeys).Select(Bend)];
    }

    /// <summary>Calls a path in the way of a scenario.</summary>
    public Send Calling(Uri path, Scenario scenario) => async (number, run, cancellationToken) =>
    {
        var isWrong = scenario.IsWrong(number) && _wrong.Length > 0;
        var token = isWrong ? _wrong[number % _wrong.Length] : _good[number % _good.Length];
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token.Length > 0)
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        using var response = await _http.SendAsync(request, cancellationToken);
        var status = response.StatusCode;
        if (isWrong && status is HttpStatusCode.Unauthorized or HttpStatusCode.TooManyRequests)
            return Outcome.Refused;
        return !isWrong && response.IsSuccessStatusCode ? Outcome.Served : Failed(run, status);
    };

    /// <summary>Revokes the keys that it made.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        foreach (var key in _created)
            await RevokeAsync(key, cancellationToken);
        _created.Clear();
    }

    public void Dispose() => _http.Dispose();

    private static Outcome Failed(Run run, HttpStatusCode status)
    {
        run.Note($"status {(int)status}");
        return Outcome.Failed;
    }

    private static string Bend(string token) => token[..^1] + (token[^1] == '0' ? '1' : '0');

    private async Task CreateAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/api/keys", UriKind.Relative))
        {
            Content = JsonContent.Create(
                new { name = "load test", role = "viewer", expiry_days = 1, rate_limit_per_minute = 10_000_000 }),
        };
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {_key}");
        using var response = await _http.SendAsync(request, cancellationToken);
        // Whoever may not create keys, or has reached a limit, goes on with what is there.
        if (response.StatusCode != HttpStatusCode.Created
            || await response.Content.ReadFromJsonAsync<Created>(cancellationToken) is not { } created)
        {
            return;
        }

        lock (_created)
            _created.Add(created);
    }

    private async Task RevokeAsync(Created key, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Delete, new Uri($"/api/keys/{key.KeyId}", UriKind.Relative));
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {_key}");
        using var response = await _http.SendAsync(request, cancellationToken);
    }

    private sealed record Created(
        [property: JsonPropertyName("key_id")] string KeyId, [property: JsonPropertyName("api_key")] string ApiKey);
}
