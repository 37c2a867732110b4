using System.Net;
using System.Text.Json.Nodes;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// A key as its holder knows it from the answers. A test compares it with what the service says later.
/// </summary>
internal sealed class ExpectedKey(string id, string name)
{
    public const int MaximumLive = 3;

    private readonly List<string> _events = [];
    private string _name = name;

    public string Id { get; } = id;

    public string Path => $"/api/keys/{Id}";

    /// <summary>The tokens whose text arrived; of some secrets it never did.</summary>
    public List<HeldToken> Tokens { get; } = [];

    public bool IsRevoked { get; private set; }

    public int Changes => _events.Count;

    public int LiveSecrets { get; private set; } = 1;

    private int CurrentSecret { get; set; } = 1;

    public void Apply(Attempt attempt, string? token)
    {
        _events.Add(attempt.EventType);
        switch (attempt.Kind)
        {
            case Change.Create:
                Keep(token);
                break;
            case Change.Rotate:
                CurrentSecret++;
                LiveSecrets = attempt.GraceMinutes == 0 ? 1 : LiveSecrets + 1;
                if (attempt.GraceMinutes == 0)
                    Tokens.ForEach(held => held.IsRotatedOut = true);
                Keep(token);
                break;
            case Change.Update:
                _name = attempt.Name;
                break;
            default:
                IsRevoked = true;
                break;
        }
    }

    /// <summary>Has a torn call happened? Neither and both are problems.</summary>
    public async Task<bool> HasHappenedAsync(Attempt attempt, HttpClient admin, List<string> problems)
    {
        var events = await EventsAsync(admin);
        if (events.SequenceEqual(_events))
            return false;
        if (!events.SequenceEqual([.. _events, attempt.EventType]))
            problems.Add($"lost: {attempt} was torn off after {string.Join(' ', _events)}, and now there is {string.Join(' ', events)}");
        return true;
    }

    public async Task<IReadOnlyList<string>> CompareAsync(HttpClient admin, HttpClient anyone)
    {
        var problems = new List<string>();
        var events = await EventsAsync(admin);
        if (!events.SequenceEqual(_events))
            problems.Add($"{(events.Count < Changes ? "lost" : "half done")}: {Id} has {string.Join(' ', events)} instead of {string.Join(' ', _events)}");

        var view = (await Calls.GetAsync(admin, Path)).Demand(HttpStatusCode.OK);
        if (view.Number("version") != Changes || view.ETag != $"\"{Changes}\"")
            problems.Add($"half done: {Id} has version {view.Number("version")} after {Changes} changes");
        if (view.Text("name") != _name)
            problems.Add($"lost: {Id} is called {view.Text("name")} instead of {_name}");
        if (view.Text("status") == "revoked" != IsRevoked)
            problems.Add($"lost: {Id} is {view.Text("status")}, revoked: {IsRevoked}");
        if (view.Items("secrets").Max(secret => (int)secret["version"]!) != CurrentSecret)
            problems.Add($"half done: {Id} has not {CurrentSecret} secrets");
        foreach (var token in Tokens)
            problems.AddRange(await CompareAsync(token, anyone));
        return problems;
    }

    private async Task<IEnumerable<string>> CompareAsync(HeldToken token, HttpClient anyone)
    {
        var answer = await Calls.GetAsync(anyone, Calls.Validate, token.Text);
        var expected = IsRevoked ? "key_revoked" : token.IsRotatedOut ? "key_rotated_out" : null;

        // Holders of secrets that ended long before are no longer told why.
        if (answer.Code == expected || (token.IsRotatedOut && answer.Code == "invalid_key"))
            return [];
        return [$"lost: a token of {Id} answers {answer} instead of {expected ?? "200"}"];
    }

    private void Keep(string? token)
    {
        if (token is not null)
            Tokens.Add(new HeldToken(token));
    }

    private async Task<IReadOnlyList<string>> EventsAsync(HttpClient admin)
    {
        var page = (await Calls.GetAsync(admin, $"/api/audit?key_id={Id}&limit=200")).Demand(HttpStatusCode.OK);
        return [.. page.Items("events").Reverse().Select(Type).Where(type => type.StartsWith("key.", StringComparison.Ordinal))];
    }

    private static string Type(JsonNode entry) => (string)entry["type"]!;
}

internal sealed class HeldToken(string text)
{
    public string Text { get; } = text;

    public bool IsRotatedOut { get; set; }
}
