using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Audit;

/// <summary>
/// The chain as somebody outside checks it: from the answers alone, with nothing of the service's own code.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class AuditChainTests
{
    private static readonly string Start = new('0', 64);

    [Test]
    public async Task The_answers_alone_prove_the_chain_also_over_a_restart()
    {
        using var folder = new TestFolder();
        await using (var first = MiraHost.Start(folder: folder))
            await ChangeAsync(first.Client());

        await using var second = MiraHost.Start(folder: folder);
        await ChangeAsync(second.Client());
        var events = await ReadAllAsync(second);

        Assert.That(events.Select(entry => entry.GetProperty("seq").GetInt64()), Is.EqualTo(Enumerable.Range(1, events.Count).Select(seq => (long)seq)));
        Assert.That(FirstBroken(events), Is.Null);
        Assert.That(
            events.Select(entry => entry.GetProperty("type").GetString()),
            Is.EqualTo(new[]
            {
                "key.created", "system.started", "key.created", "key.updated", "key.rotated", "key.revoked", "system.stopped",
                "system.started", "key.created", "key.updated", "key.rotated", "key.revoked",
            }));
    }

    [Test]
    public async Task The_start_and_the_first_admin_are_the_systems_own()
    {
        await using var mira = MiraHost.Start();
        var events = (await mira.Client().ListAuditEventsAsync()).Events;
        Assert.That(
            events.Select(entry => (entry.Type, entry.Actor.Name, entry.Actor.KeyId, entry.Actor.Ip, entry.Subject, entry.Reason)),
            Is.EqualTo(new[]
            {
                ("system.started", "system", default(string), default(string), default(string), default(string)),
                ("key.created", "system", null, null, MiraHost.IdOf(mira.Admin), "bootstrap"),
            }));
    }

    [Test]
    public async Task A_changed_event_or_a_missing_one_shows()
    {
        await using var mira = MiraHost.Start();
        await ChangeAsync(mira.Client());
        var events = await ReadAllAsync(mira);

        var changed = events.ToList();
        changed[2] = JsonSerializer.Deserialize<JsonElement>(changed[2].GetRawText().Replace("Grüße", "Gruesse", StringComparison.Ordinal));
        Assert.That(FirstBroken(changed), Is.EqualTo(3));

        var missing = events.ToList();
        missing.RemoveAt(2);
        Assert.That(FirstBroken(missing), Is.EqualTo(4));
    }

    private static async Task ChangeAsync(MiraClient admin)
    {
        // What canonical JSON has rules for: quotes, escapes, line ends are refused elsewhere, names beyond ASCII.
        var made = await admin.CreateKeyAsync(new CreateKey
        {
            Name = "Grüße \"\\/ 🔑 <&>",
            Role = "viewer",
            Metadata = new Dictionary<string, string> { ["z"] = "1", ["a"] = "2", ["é"] = "3", ["🔑"] = "4", ["\ufb01"] = "5" },
        });
        await admin.UpdateKeyAsync(made.KeyId, new UpdateKey { RateLimitPerMinute = 10_000_000, Permissions = ["b:c", "a:b"] });
        await admin.RotateKeyAsync(made.KeyId);
        await admin.RevokeKeyAsync(made.KeyId, "weil \u00a0 \u007e");
    }

    /// <summary>Every event, oldest first, in several pages.</summary>
    private static async Task<List<JsonElement>> ReadAllAsync(MiraHost mira)
    {
        var http = mira.Http(mira.Admin);
        var events = new List<JsonElement>();
        string? cursor = null;
        do
        {
            var page = (await http.CallAsync("GET", $"/api/audit?limit=3{(cursor is null ? "" : $"&cursor={cursor}")}")).Json;
            events.AddRange(page.GetProperty("events").EnumerateArray());
            cursor = page.GetProperty("next_cursor").GetString();
        }
        while (cursor is not null);

        events.Reverse();
        return events;
    }

    /// <summary>The seq of the first event that does not hold; null when all do.</summary>
    private static long? FirstBroken(IEnumerable<JsonElement> events)
    {
        var previous = Start;
        foreach (var entry in events)
        {
            var hash = entry.GetProperty("hash").GetString();
            var canonical = Canonical(entry, leaveOut: "hash");
            if (entry.GetProperty("prev_hash").GetString() != previous || Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical))) != hash)
                return entry.GetProperty("seq").GetInt64();
            previous = hash!;
        }

        return null;
    }

    private static string Canonical(JsonElement value, string? leaveOut = null) => value.ValueKind switch
    {
        JsonValueKind.Object => $"{{{string.Join(",", value.EnumerateObject()
            .Where(property => property.Name != leaveOut)
            .OrderBy(property => property.Name, StringComparer.Ordinal)
            .Select(property => $"{Quoted(property.Name)}:{Canonical(property.Value)}"))}}}",
        JsonValueKind.Array => $"[{string.Join(",", value.EnumerateArray().Select(item => Canonical(item)))}]",
        JsonValueKind.String => Quoted(value.GetString()!),
        _ => value.GetRawText(),
    };

    // No control characters occur: they are refused where text comes in.
    private static string Quoted(string text) => $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
