using Mira.Application.Ledger;

namespace Mira.Infrastructure.Tests.Sql;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
[TestFixture(StoreKind.Airtable)]
public sealed class StoredResponseTests(StoreKind kind) : IDisposable
{
    private static readonly IdempotentRequest IdempotentRequest = new("mira_key_000000000001", "once", "ab");

    private Store _store = null!;

    [SetUp]
    public async Task SetUp() => _store = await Store.OpenAsync(kind);

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task A_remembered_answer_is_found_for_a_day()
    {
        await _store.ChangeAsync(RememberOne);

        _store.Clock.Advance(IdempotentRequest.KeptFor - TimeSpan.FromMilliseconds(1));
        Assert.That(await FindAsync(), Is.EqualTo(new StoredResponse("ab", "{}")));
        Assert.That(await FindAsync(IdempotentRequest with { Caller = "mira_key_000000000002" }), Is.Null);
        Assert.That(await FindAsync(IdempotentRequest with { Key = "twice" }), Is.Null);

        _store.Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.That(await FindAsync(), Is.Null);
    }

    [Test]
    public async Task An_idempotency_key_can_be_used_anew_after_a_day()
    {
        await _store.ChangeAsync(RememberOne);
        _store.Clock.Advance(IdempotentRequest.KeptFor);

        await _store.ChangeAsync(async change =>
        {
            Assert.That(await change.FindAnswerAsync(IdempotentRequest), Is.Null);
            change.Add(new HeldKey().Key);
            change.Remember(IdempotentRequest with { Fingerprint = "cd" }, "{}");
        });

        Assert.That(await FindAsync(), Is.EqualTo(new StoredResponse("cd", "{}")));
    }

    [Test]
    public async Task Answers_that_are_too_old_go_with_the_next_one_that_is_remembered()
    {
        await _store.ChangeAsync(RememberOne);
        _store.Clock.Advance(IdempotentRequest.KeptFor);

        await _store.ChangeAsync(async change =>
        {
            var other = IdempotentRequest with { Key = "another" };
            Assert.That(await change.FindAnswerAsync(other), Is.Null);
            change.Add(new HeldKey().Key);
            change.Remember(other, "{}");
        });

        Assert.That(await _store.AskAsync("SELECT count(*) FROM answers"), Is.EqualTo(1));
    }

    private static Task RememberOne(ILedgerChange change)
    {
        change.Add(new HeldKey().Key);
        change.Remember(IdempotentRequest, "{}");
        return Task.CompletedTask;
    }

    private async Task<StoredResponse?> FindAsync(IdempotentRequest? repeat = null)
    {
        StoredResponse? found = null;
        await _store.ChangeAsync(async change => found = await change.FindAnswerAsync(repeat ?? IdempotentRequest));
        return found;
    }
}
