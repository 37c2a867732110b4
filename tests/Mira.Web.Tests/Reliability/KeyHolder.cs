using System.Net;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// Creates, rotates, changes and revokes keys of its own, one after another, and remembers what was acknowledged. A
/// call that was torn off is unsettled: it may have happened or not, wholly, and <see cref="SettleAsync"/> finds out
/// which.
/// </summary>
internal sealed class KeyHolder(int number, int seed)
{
    private const int LongLife = 12;

    private readonly Random _random = new(seed);
    private readonly List<ExpectedKey> _held = [];
    private readonly HashSet<ExpectedKey> _touched = [];
    private Attempt? _unsettled;
    private int _made;

    /// <summary>Changes the service said it made.</summary>
    public int Acknowledged { get; private set; }

    /// <summary>Calls whose answer was torn off: how many had happened.</summary>
    public int Torn { get; private set; }

    public int TornButDone { get; private set; }

    /// <summary>The last tokens of keys that were revoked.</summary>
    public List<string> Revoked { get; } = [];

    /// <summary>Makes one change; throws what a torn call throws.</summary>
    public async Task ChangeAsync(HttpClient admin)
    {
        var attempt = Choose();
        _unsettled = attempt;
        if (attempt.Key is { } key)
            _touched.Add(key);
        var answer = await attempt.SendAsync(admin);
        Assert.That(answer.IsReplayed, Is.False);
        Take(attempt, answer);
    }

    /// <summary>After a crash: what became of the torn call, and is all that was acknowledged there?</summary>
    public async Task<IReadOnlyList<string>> SettleAsync(HttpClient admin, HttpClient anyone)
    {
        var problems = new List<string>();
        if (_unsettled is { } attempt)
            await SettleTornAsync(attempt, admin, problems);
        foreach (var key in _touched)
            problems.AddRange(await key.CompareAsync(admin, anyone));

        _touched.Clear();
        foreach (var gone in _held.Where(key => key.IsRevoked).ToList())
        {
            Revoked.AddRange(gone.Tokens.TakeLast(1).Select(token => token.Text));
            _held.Remove(gone);
        }

        return problems;
    }

    private async Task SettleTornAsync(Attempt attempt, HttpClient admin, List<string> problems)
    {
        var happened = attempt.Key is { } key ? await key.HasHappenedAsync(attempt, admin, problems) : await CountAsync(attempt, admin) == 1;
        Torn++;
        TornButDone += happened ? 1 : 0;

        if (attempt.CanRepeat)
        {
            var repeated = (await attempt.SendAsync(admin)).Demand(attempt.Success);
            if (attempt.IdempotentRequest is not null && repeated.IsReplayed != happened)
                problems.Add($"half done: {attempt} had happened: {happened}, its repeat was a replay: {repeated.IsReplayed}");
            if (repeated.IsReplayed && repeated.Text("api_key") is not null)
                problems.Add($"half done: the repeat of {attempt} shows a token again");
            Take(attempt, repeated);

            // A second repeat changes nothing either way; comparing the key counts its events.
            var again = (await attempt.SendAsync(admin)).Demand(attempt.Success);
            if (attempt.IdempotentRequest is not null && !again.IsReplayed)
                problems.Add($"half done: {attempt} was done again");
        }
        else if (happened && attempt.Key is { } changed)
        {
            changed.Apply(attempt, token: null);
        }

        if (attempt.Kind == Change.Create && await CountAsync(attempt, admin) is var count && count > 1)
            problems.Add($"half done: {attempt} made {count} keys");
        _unsettled = null;
    }

    private void Take(Attempt attempt, Answer answer)
    {
        Assert.That(answer.Status, Is.EqualTo(attempt.Success), answer.Body.ToJsonString());
        var key = attempt.Key;
        if (key is null)
        {
            key = new ExpectedKey(answer.Text("key_id")!, attempt.Name);
            _held.Add(key);
            _touched.Add(key);
        }

        key.Apply(attempt, answer.Body.ContainsKey("api_key") ? answer.Text("api_key") : null);
        Acknowledged++;
        _unsettled = null;
    }

    private static async Task<int> CountAsync(Attempt attempt, HttpClient admin) =>
        (await Calls.GetAsync(admin, $"/api/keys?q={attempt.Name}")).Demand(HttpStatusCode.OK).Items("keys").Count();

    private Attempt Choose()
    {
        var name = $"holder-{number}-{++_made}.";
        var repeat = _random.Next(2) == 0 ? $"repeat-{number}-{_made}" : null;
        if (_held.Count < 2 || _random.Next(4) == 0)
            return new Attempt(Change.Create, null, name, repeat, 0);

        var key = _held[_random.Next(_held.Count)];
        if (key.IsRevoked)
            return new Attempt(Change.Create, null, name, repeat, 0);
        if (key.Changes >= LongLife || _random.Next(6) == 0)
            return new Attempt(Change.Revoke, key, name, null, 0);
        if (_random.Next(3) == 0)
            return new Attempt(Change.Update, key, name, null, 0);

        return new Attempt(Change.Rotate, key, name, repeat, key.LiveSecrets == ExpectedKey.MaximumLive || _random.Next(2) == 0 ? 0 : 1440);
    }
}

internal enum Change
{
    Create,
    Rotate,
    Update,
    Revoke,
}

/// <summary>One request, which can be sent again exactly as it was.</summary>
/// <param name="Key">Null when it makes one.</param>
/// <param name="IdempotentRequest">Its idempotency key.</param>
internal sealed record Attempt(Change Kind, ExpectedKey? Key, string Name, string? IdempotentRequest, int GraceMinutes)
{
    public HttpStatusCode Success => Kind is Change.Create or Change.Rotate ? HttpStatusCode.Created : HttpStatusCode.OK;

    /// <summary>A repeat changes nothing when the first one has happened.</summary>
    public bool CanRepeat => IdempotentRequest is not null || Kind is Change.Update or Change.Revoke;

    public string EventType => Kind switch
    {
        Change.Create => "key.created",
        Change.Rotate => "key.rotated",
        Change.Update => "key.updated",
        _ => "key.revoked",
    };

    public Task<Answer> SendAsync(HttpClient admin) => Kind switch
    {
        Change.Create => Calls.PostAsync(admin, "/api/keys", $$"""{"name":"{{Name}}","role":"viewer"}""", IdempotentRequest),
        Change.Rotate => Calls.PostAsync(admin, $"{Key!.Path}/rotate", $$"""{"grace_minutes":{{GraceMinutes}}}""", IdempotentRequest),
        Change.Update => Calls.PatchAsync(admin, Key!.Path, $$"""{"name":"{{Name}}"}"""),
        _ => Calls.DeleteAsync(admin, Key!.Path),
    };

    public override string ToString() => $"{Kind} of {Key?.Id ?? Name}";
}
