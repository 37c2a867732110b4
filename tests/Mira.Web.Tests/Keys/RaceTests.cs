using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>Many at once: one of them wins, or all of them in a row, and every answer is true.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class RaceTests : SharedHost
{
    [Test]
    public async Task Of_50_creations_with_one_idempotency_key_one_is_made()
    {
        var (repeat, name) = (Unique(), Unique());
        var body = $$"""{"name":"{{name}}","role":"viewer"}""";
        var answers = await AtOnceAsync(50, _ => AdminHttp.CallAsync("POST", "/api/keys", body, headers: ("Idempotency-Key", repeat)));

        Assert.That(answers.Select(answer => answer.Verdict), Is.All.AnyOf("201", "409 idempotency_in_progress"));
        var made = answers.Where(answer => answer.Verdict == "201").ToList();
        Assert.That(made.Count(answer => answer.Header("Idempotency-Replayed") is null), Is.EqualTo(1));
        Assert.That(made.Count(answer => answer.Field("api_key")!.Length > 0), Is.EqualTo(1));
        Assert.That(made.Select(answer => answer.Field("key_id")).Distinct().Count(), Is.EqualTo(1));
        Assert.That((await Admin.ListKeysAsync(q: name)).Keys, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Of_200_rotations_of_one_version_one_wins()
    {
        var id = (await CreateAsync()).KeyId;
        var answers = await AtOnceAsync(200, _ => AdminHttp.CallAsync("POST", $"/api/keys/{id}/rotate", headers: ("If-Match", "\"1\"")));

        Assert.That(answers.Select(answer => answer.Verdict), Is.All.AnyOf("201", "412 version_mismatch"));
        var won = answers.Single(answer => answer.Verdict == "201");
        var view = await Admin.GetKeyAsync(id);
        Assert.That((view.Version, view.Secrets.Count), Is.EqualTo((2, 2)));
        Assert.That(await VerdictOnAsync(won.Field("api_key")), Is.EqualTo("200"));
        Assert.That(await EventsOfAsync(id), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task Eight_rotations_without_a_condition_come_one_after_another_and_each_answer_is_true()
    {
        var made = await CreateAsync();
        var answers = await AtOnceAsync(8, _ => AdminHttp.CallAsync("POST", $"/api/keys/{made.KeyId}/rotate"));

        // The first secret and two successors are all that may live.
        Assert.That(answers.Count(answer => answer.Verdict == "201"), Is.EqualTo(2));
        Assert.That(answers.Count(answer => answer.Verdict == "409 too_many_live_secrets"), Is.EqualTo(6));
        var rotated = answers.Where(answer => answer.Verdict == "201").ToList();
        Assert.That(rotated.Select(answer => answer.Field("version")), Is.EquivalentTo(new[] { "2", "3" }));
        foreach (var token in rotated.Select(answer => answer.Field("api_key")).Append(made.ApiKey))
            Assert.That(await VerdictOnAsync(token), Is.EqualTo("200"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Version, Is.EqualTo(3));
    }

    [Test]
    public async Task Eight_rotations_without_grace_leave_one_secret_that_works()
    {
        var made = await CreateAsync();
        var answers = await AtOnceAsync(8, _ => AdminHttp.CallAsync("POST", $"/api/keys/{made.KeyId}/rotate", """{"grace_minutes":0}"""));

        Assert.That(answers.Select(answer => answer.Verdict), Is.All.EqualTo("201"));
        Assert.That(answers.Select(answer => int.Parse(answer.Field("version")!, null)), Is.EquivalentTo(Enumerable.Range(2, 8)));
        Assert.That(answers.Select(answer => answer.Header("ETag")).Distinct().Count(), Is.EqualTo(8));
        var verdicts = await Task.WhenAll(answers.Select(answer => VerdictAsync(answer.Field("api_key")!)));
        var newest = answers.Single(answer => answer.Field("version") == "9");
        Assert.That(verdicts.Where(verdict => verdict.Verdict == "200").Select(verdict => verdict.Token), Is.EqualTo(new[] { newest.Field("api_key") }));

        async Task<(string Token, string Verdict)> VerdictAsync(string token) => (token, (await AdminHttp.CallAsync("POST", "/api/keys/verify", $$"""{"api_key":"{{token}}"}""")).Field("code") == "valid" ? "200" : "no");
    }

    [Test]
    public async Task Changes_of_different_fields_at_once_are_all_kept()
    {
        var id = (await CreateAsync()).KeyId;
        string[] bodies =
        [
            """{"name":"raced"}""", """{"owner":"raced"}""", """{"rate_limit_per_minute":7}""", """{"permissions":["a:b"]}""", """{"metadata":{"k":"v"}}""", """{"allowed_ips":["127.0.0.1"]}""",
        ];
        await AtOnceAsync(bodies.Length, number => AdminHttp.CallAsync("PATCH", $"/api/keys/{id}", bodies[number]));

        var view = await Admin.GetKeyAsync(id);
        Assert.That((view.Name, view.Owner, view.RateLimitPerMinute, view.Version), Is.EqualTo(("raced", "raced", (int?)7, 7)));
        Assert.That((view.Permissions[0], view.Metadata["k"], view.AllowedIps[0]), Is.EqualTo(("a:b", "v", "127.0.0.1")));
    }

    [Test]
    public async Task Of_many_revocations_at_once_one_is_recorded_and_all_have_one_answer()
    {
        var id = (await CreateAsync()).KeyId;
        var answers = await AtOnceAsync(20, number => AdminHttp.CallAsync("DELETE", $"/api/keys/{id}?reason=r{number}"));
        Assert.That(answers.Select(answer => (answer.Verdict, answer.Text)).Distinct().Count(), Is.EqualTo(1));
        Assert.That(answers[0].Verdict, Is.EqualTo("200"));
        Assert.That(await EventsOfAsync(id), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_revocation_among_rotations_is_final()
    {
        var id = (await CreateAsync()).KeyId;
        var answers = await AtOnceAsync(9, number => number == 4
            ? AdminHttp.CallAsync("DELETE", $"/api/keys/{id}")
            : AdminHttp.CallAsync("POST", $"/api/keys/{id}/rotate", """{"grace_minutes":0}"""));

        Assert.That(answers[4].Verdict, Is.EqualTo("200"));
        Assert.That(answers.Select(answer => answer.Verdict), Is.All.AnyOf("200", "201", "409 key_not_active"));
        foreach (var rotated in answers.Where(answer => answer.Verdict == "201"))
            Assert.That(await VerdictOnAsync(rotated.Field("api_key")), Is.EqualTo("401 key_revoked").Or.EqualTo("401 invalid_key"));
        Assert.That((await EventsOfAsync(id))[0].Type, Is.EqualTo("key.revoked"));
    }

    private static async Task<Reply[]> AtOnceAsync(int count, Func<int, Task<Reply>> call)
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var all = Task.WhenAll(Enumerable.Range(0, count).Select(async number =>
        {
            await ready.Task;
            return await call(number);
        }));
        ready.SetResult();
        return await all;
    }
}
