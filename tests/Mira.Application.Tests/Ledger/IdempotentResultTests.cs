using Mira.Application.Keys;
using Mira.Application.Ledger;

namespace Mira.Application.Tests.Ledger;

public class IdempotentResultTests
{
    private static readonly IdempotentRequest IdempotentRequest = new("mira_key_000000000001", "once", "ab");

    private static readonly CreatedKey Issued =
        new("the-token-itself", "mira_key_4fZq0TbLw9Xe", "bílling", "viewer", HeldKey.Start.AddDays(1), HeldKey.Start, "Store it.");

    private FakeLedger _ledger = null!;
    private int _acts;

    [SetUp]
    public void SetUp() => (_ledger, _acts) = (new FakeLedger(), 0);

    [Test]
    public async Task Without_an_idempotency_key_it_acts_each_time()
    {
        await OnceAsync(null);
        await OnceAsync(null);

        Assert.That(_acts, Is.EqualTo(2));
        Assert.That(_ledger.Answers, Is.Empty);
    }

    [Test]
    public async Task A_repeat_gets_the_same_answer_without_the_token()
    {
        var first = await OnceAsync(IdempotentRequest);
        var second = await OnceAsync(IdempotentRequest);

        Assert.That(first, Is.EqualTo(new IdempotentResult<CreatedKey>(Issued, 7)));
        Assert.That(second, Is.EqualTo(new IdempotentResult<CreatedKey>(Issued with { ApiKey = null }, 7, Replayed: true)));
        Assert.That(_acts, Is.EqualTo(1));
    }

    [Test]
    public async Task The_answer_of_a_rotation_is_repeated_as_it_was()
    {
        var rotated = new RotatedKey("the-token-itself", "mira_key_4fZq0TbLw9Xe", 3, "admin", null, HeldKey.Start.AddMinutes(60), "Store it.");
        for (var i = 0; i < 2; i++)
        {
            var answer = await _ledger.OnceAsync(IdempotentRequest, () => Task.FromResult(new IdempotentResult<RotatedKey>(rotated, 4)));
            Assert.That(answer, Is.EqualTo(i == 0 ? new IdempotentResult<RotatedKey>(rotated, 4) : new IdempotentResult<RotatedKey>(rotated with { ApiKey = null }, 4, true)));
        }
    }

    [Test]
    public async Task The_token_is_never_stored()
    {
        await OnceAsync(IdempotentRequest);

        Assert.That(_ledger.Answers.Values.Single().Answer, Does.Not.Contain("the-token-itself"));
    }

    [Test]
    public async Task Another_request_under_the_same_idempotency_key_is_refused()
    {
        await OnceAsync(IdempotentRequest);

        Assert.That(() => OnceAsync(IdempotentRequest with { Fingerprint = "cd" }), Throws.TypeOf<IdempotencyMismatchException>());
        Assert.That(_acts, Is.EqualTo(1));
    }

    [Test]
    public async Task Idempotency_keys_of_two_callers_never_meet()
    {
        await OnceAsync(IdempotentRequest);
        var other = await OnceAsync(IdempotentRequest with { Caller = "mira_key_000000000002" });

        Assert.That(other.Replayed, Is.False);
        Assert.That(_acts, Is.EqualTo(2));
    }

    [Test]
    public void A_failure_is_not_remembered()
    {
        Assert.That(
            () => _ledger.OnceAsync<CreatedKey>(IdempotentRequest, () => throw new VersionMismatchException(1)), Throws.TypeOf<VersionMismatchException>());

        Assert.That(_ledger.Answers, Is.Empty);
    }

    private Task<IdempotentResult<CreatedKey>> OnceAsync(IdempotentRequest? repeat) => _ledger.OnceAsync(repeat, () =>
    {
        _acts++;
        return Task.FromResult(new IdempotentResult<CreatedKey>(Issued, 7));
    });
}
