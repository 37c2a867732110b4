using System.Collections.Concurrent;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Limits;

/// <summary>
/// More calls at once than a node takes: they are told so, those it took end, and afterwards nothing is left of it.
/// </summary>
internal sealed class LoadGuardTests : SharedHostTests
{
    private const string Validate = "/api/auth/validate";
    private const int Most = 3;

    private readonly Door _door = new();

    protected override (string Name, string Value)[] Settings => [("Mira:ConcurrentCalls", $"{Most}")];

    protected override void Configure(IServiceCollection services)
    {
        services.AddSingleton<SqlKeyStore>();
        services.Replace(ServiceDescriptor.Singleton<IKeyStore>(provider => _door.Before(provider.GetRequiredService<SqlKeyStore>())));
    }

    [Test]
    public async Task More_are_shed_and_those_inside_end()
    {
        for (var round = 0; round < 5; round++)
        {
            var held = await FillAsync();
            foreach (var token in new[] { Mira.Admin, "bad" })
            {
                var shed = (await SendAsync("GET", Validate, token)).ShouldBeProblem(503, "overloaded");
                Assert.That((shed.Header("Retry-After"), shed.Header("RateLimit")), Is.EqualTo(("1", (string?)null)));
            }

            (await SendAnyAsync("GET", "/api/auth/forward")).ShouldBeProblem(503, "overloaded");
            (await SendAnyAsync("GET", "/api/nothing")).ShouldBeProblem(503, "overloaded");
            // Neither of these is public, whatever its address looks like.
            foreach (var (method, path) in new[] { ("POST", "/health"), ("GET", "/health/x"), ("GET", "/metrics/x"), ("POST", "/metrics") })
                (await SendAsync(method, path)).ShouldBeProblem(503, "overloaded");
            Assert.That((await SendAsync("GET", "/health")).Json.GetProperty("details").ValueKind, Is.EqualTo(JsonValueKind.Null), "a key is not looked at");
            foreach (var health in new[] { "/health", "/health/live", "/health/ready", "/metrics" })
                Assert.That((await SendAnyAsync("GET", health)).Status, Is.EqualTo(200));

            _door.Open();
            Assert.That((await Task.WhenAll(held)).Select(answer => answer.Status), Is.All.EqualTo(200));
        }

        await ExpectAllPlacesFreeAsync();
    }

    [Test]
    public async Task A_failure_gives_its_place_back()
    {
        _door.Break();
        for (var call = 0; call < 5 * Most; call++)
            (await VerifyAsync()).ShouldBeProblem(500, "internal_error");
        _door.Open();
        await ExpectAllPlacesFreeAsync();
    }

    [Test]
    public async Task Refusals_give_their_places_back()
    {
        for (var call = 0; call < 5 * Most; call++)
        {
            (await SendAnyAsync("GET", Validate)).ShouldBeProblem(401, "missing_credentials");
            (await SendAsync("GET", "/api/nothing")).ShouldBeProblem(404, "not_found");
            (await PostAsync("/api/keys", "{")).ShouldBeProblem(400, "malformed_json");
            (await SendRawAsync("GET /api/auth/forward/../../../health HTTP/1.1\nHost: mira")).ShouldBeProblem(401, "malformed_request");
        }

        await ExpectAllPlacesFreeAsync();
    }

    [Test]
    public async Task Who_goes_away_gives_its_place_back()
    {
        for (var round = 0; round < 5; round++)
        {
            var connections = new List<RawHttp>();
            for (var place = 0; place < Most; place++)
            {
                var connection = await RawHttp.ConnectAsync(Mira.Address);
                connections.Add(connection);
                await connection.WriteAsync(RawHttp.Head(
                    ["POST /api/keys HTTP/1.1", "Host: mira", $"X-API-Key: {Mira.Admin}", "Content-Type: application/json", "Content-Length: 100"]));
                await connection.WriteAsync("{"u8.ToArray());
            }

            await UntilAsync(503);
            connections.ForEach(connection => connection.Dispose());
            await UntilAsync(200);
        }

        await ExpectAllPlacesFreeAsync();
    }

    private async Task<List<Task<WireAnswer>>> FillAsync()
    {
        _door.Close();
        var held = new List<Task<WireAnswer>>();
        for (var place = 0; place < Most; place++)
        {
            held.Add(VerifyAsync());
            await _door.EnteredAsync();
        }

        return held;
    }

    /// <summary>The server notices in its own time what happens to a connection.</summary>
    private async Task UntilAsync(int status)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while ((await SendAsync("GET", Validate)).Status != status)
            patience.Token.ThrowIfCancellationRequested();
    }

    private async Task ExpectAllPlacesFreeAsync()
    {
        var held = await FillAsync();
        (await SendAsync("GET", Validate)).ShouldBeProblem(503, "overloaded");
        _door.Open();
        Assert.That((await Task.WhenAll(held)).Select(answer => answer.Status), Is.All.EqualTo(200));
        Assert.That((await SendAsync("GET", Validate)).Status, Is.EqualTo(200));
        Assert.That((await SendAsync("GET", "/health")).Json.GetProperty("details").ValueKind, Is.EqualTo(JsonValueKind.Object));
    }

    // Of a key that no other call has asked about, so that the store is read.
    private Task<WireAnswer> VerifyAsync() => PostAsync("/api/keys/verify", $$"""{"api_key":"{{Token.Generate(_door.NewId()).Reveal()}}"}""");

    /// <summary>
    /// Holds reads of keys inside the service until it is opened, or lets them run into an error. Callers' own keys
    /// pass.
    /// </summary>
    private sealed class Door : IKeyStore
    {
        private readonly ConcurrentDictionary<KeyId, bool> _asked = new();
        private IKeyStore _inner = null!;
        private readonly Channel<int> _entered = Channel.CreateUnbounded<int>();
        private TaskCompletionSource _opened = new();

        public void Close() => _opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Open()
        {
            if (_opened.Task.IsFaulted)
                _opened = new TaskCompletionSource();
            _opened.TrySetResult();
        }

        public void Break()
        {
            Close();
            _opened.SetException(new InvalidOperationException("broken"));
        }

        public Task<int> EnteredAsync() => _entered.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));

        public Door Before(IKeyStore inner)
        {
            _inner = inner;
            return this;
        }

        public KeyId NewId()
        {
            var id = KeyId.Generate();
            _asked[id] = true;
            return id;
        }

        public async Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken)
        {
            if (!_asked.ContainsKey(id))
                return await _inner.ReadAsync(id, cancellationToken);

            var opened = _opened.Task;
            if (!opened.IsCompleted)
                _entered.Writer.TryWrite(1);
            await opened;
            return await _inner.ReadAsync(id, cancellationToken);
        }

        public Task<IReadOnlyList<(ApiKey Key, long Seq)>> FindAsync(KeyFilter filter, CancellationToken cancellationToken) => _inner.FindAsync(filter, cancellationToken);
    }
}
