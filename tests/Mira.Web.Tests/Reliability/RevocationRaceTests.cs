using System.Net;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// Readers call while writers change: no call that begins after a change was answered is decided by what was before.
/// </summary>
internal sealed class RevocationRaceTests
{
    private const int Readers = 8;
    private const int CallsAfter = 6;

    public enum Cache
    {
        /// <summary>The key is in memory and stays there.</summary>
        Warm,

        /// <summary>
        /// The cache is smaller than what the readers ask for, so that the key is read from the store again and again.
        /// </summary>
        Small,

        /// <summary>The key changes all the time, so that it is dropped and read again all the time.</summary>
        Churning,
    }

    [Test]
    public async Task A_call_that_begins_after_a_revocation_was_answered_is_never_let_in([Values] Cache cache)
    {
        await using var mira = MiraHost.Start(settings: cache == Cache.Small ? [Calls.NoLimits, ("Mira:Verification:CacheSize", "100")] : [Calls.NoLimits]);
        var others = await Task.WhenAll(Enumerable.Range(0, cache == Cache.Small ? 130 : 0).Select(_ => mira.NewKeyAsync("viewer")));
        for (var round = Soak.RoundsOf(6); round > 0; round--)
            await RevokeWhileReadAsync(mira, others, churns: cache == Cache.Churning);
    }

    [Test]
    public async Task A_new_token_works_for_the_first_call_after_it_was_shown()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var admin = mira.Http(mira.Admin);
        var anyone = mira.Http();
        await Task.WhenAll(Enumerable.Range(0, Readers).Select(_ => Task.Run(async () =>
        {
            for (var round = Soak.RoundsOf(5); round > 0; round--)
            {
                var made = (await Calls.PostAsync(admin, "/api/keys", """{"name":"new","role":"viewer"}""")).Demand(HttpStatusCode.Created);
                (await Calls.GetAsync(anyone, Calls.Validate, made.Text("api_key"))).Demand(HttpStatusCode.OK);
                var rotated = (await Calls.PostAsync(admin, $"/api/keys/{made.Text("key_id")}/rotate", """{"grace_minutes":0}""")).Demand(HttpStatusCode.Created);
                (await Calls.GetAsync(anyone, Calls.Validate, rotated.Text("api_key"))).Demand(HttpStatusCode.OK);
                (await Calls.GetAsync(anyone, Calls.Validate, made.Text("api_key"))).Demand(HttpStatusCode.Unauthorized);
            }
        })));
    }

    private static async Task RevokeWhileReadAsync(MiraHost mira, string[] others, bool churns)
    {
        var admin = mira.Http(mira.Admin);
        var anyone = mira.Http();
        var token = await mira.NewKeyAsync("viewer");
        var path = $"/api/keys/{MiraHost.IdOf(token)}";
        var answered = false;
        var (letIn, letInAfter, refusedBefore) = (0, 0, 0);

        var readers = Enumerable.Range(0, Readers).Select(reader => Task.Run(async () =>
        {
            for (var (call, after) = (0, 0); after < CallsAfter; call++)
            {
                var isAfter = Volatile.Read(ref answered);
                var answer = await Calls.GetAsync(anyone, Calls.Validate, token);
                after += isAfter ? 1 : 0;
                if (answer.Status == HttpStatusCode.OK)
                    Interlocked.Increment(ref isAfter ? ref letInAfter : ref letIn);
                else if (answer.Code != "key_revoked")
                    Interlocked.Increment(ref refusedBefore);

                if (others.Length > 0)
                    (await Calls.GetAsync(anyone, Calls.Validate, others[((call * Readers) + reader) % others.Length])).Demand(HttpStatusCode.OK);
            }
        })).ToList();
        await Soak.UntilAsync(() => Volatile.Read(ref letIn) >= Readers || readers.Exists(reader => reader.IsCompleted));
        for (var change = 0; churns && change < 10; change++)
            (await Calls.PatchAsync(admin, path, $$"""{"name":"changed {{change}}"}""")).Demand(HttpStatusCode.OK);
        (await Calls.DeleteAsync(admin, path)).Demand(HttpStatusCode.OK);
        Volatile.Write(ref answered, true);
        await Task.WhenAll(readers);

        Assert.That(letInAfter, Is.Zero, "A revoked key was let in.");
        Assert.That(refusedBefore, Is.Zero, "A good key was refused.");
    }
}
