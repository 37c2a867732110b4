using FluentValidation;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Ledger;
using Moq;

namespace Mira.Application.Tests.Pipeline;

public class PipelineTests
{
    private static readonly IdempotentRequest First = new("mira_key_000000000001", "once", "ab");

    private RunningIdempotentRequests _running = null!;

    [SetUp]
    public void SetUp() => _running = new RunningIdempotentRequests();

    [Test]
    public async Task A_second_request_is_refused_while_the_first_runs_and_taken_after_it()
    {
        var gate = new Gate();
        var first = SendAsync(First, gate.PassAsync);
        await gate.Reached;

        Assert.That(() => SendAsync(First with { Fingerprint = "cd" }), Throws.TypeOf<IdempotencyInProgressException>());

        gate.Open();
        await first;
        Assert.That(() => SendAsync(First), Throws.Nothing);
    }

    [Test]
    public async Task Other_callers_other_keys_and_requests_without_one_are_not_held_up()
    {
        var gate = new Gate();
        var first = SendAsync(First, gate.PassAsync);
        await gate.Reached;

        Assert.That(() => SendAsync(First with { Caller = "mira_key_000000000002" }), Throws.Nothing);
        Assert.That(() => SendAsync(First with { Key = "twice" }), Throws.Nothing);
        Assert.That(() => SendAsync(null), Throws.Nothing);

        gate.Open();
        await first;
    }

    [Test]
    public void A_request_that_failed_holds_nothing_up()
    {
        Assert.That(() => SendAsync(First, () => throw new LedgerUnavailableException("full")), Throws.TypeOf<LedgerUnavailableException>());

        Assert.That(() => SendAsync(First), Throws.Nothing);
    }

    [Test]
    public void A_message_that_cannot_be_repeated_passes()
    {
        var behavior = new IdempotencyBehavior<RevokeKey, RevokedKey>(_running);
        var answer = new RevokedKey("", "", default);

        Assert.That(() => behavior.Handle(new RevokeKey("", null, VersionCondition.Any), default, () => Task.FromResult(answer)), Is.SameAs(answer));
    }

    [Test]
    public void What_is_not_well_formed_goes_no_further_and_tells_every_failure()
    {
        var behavior = new ValidationBehavior<CreateKey, IdempotentResult<CreatedKey>>([new CreateKeyValidator()]);

        Assert.That(
            () => behavior.Handle(new CreateKey(), default, () => throw new InvalidOperationException("reached")),
            Throws.TypeOf<ValidationException>().With.Property(nameof(ValidationException.Errors)).Count.EqualTo(2));
    }

    [Test]
    public void Every_validator_of_a_message_is_asked()
    {
        var strict = new InlineValidator<GetKey> { rules => rules.RuleFor(get => get.KeyId).NotEmpty() };
        var behavior = new ValidationBehavior<GetKey, KeyView>([new InlineValidator<GetKey>(), strict]);

        Assert.That(() => behavior.Handle(new GetKey("", null!), default, () => throw new InvalidOperationException("reached")), Throws.TypeOf<ValidationException>());
    }

    [Test]
    public async Task What_is_well_formed_passes()
    {
        var behavior = new ValidationBehavior<GetKey, KeyView>([]);
        var reached = false;

        await behavior.Handle(new GetKey("", null!), default, () =>
        {
            reached = true;
            return Task.FromResult<KeyView>(null!);
        });

        Assert.That(reached);
    }

    [Test]
    public async Task Who_sends_a_message_is_who_acts_in_its_scope()
    {
        var actor = new Actor("mira_key_000000000001", "ops", "admin", "203.0.113.7", "curl");
        var caller = Mock.Of<ICaller>(one => one.Actor == actor && one.CorrelationId == "abc");
        var scope = new AuditScope();
        Assert.That(scope.Actor, Is.EqualTo(Actor.System), "before anyone came");
        Assert.That(scope.CorrelationId, Is.Null);

        await new AuditScopeBehavior<GetKey, KeyView>(caller, scope).Handle(new GetKey("", null!), default, () =>
        {
            Assert.That(scope.Actor, Is.EqualTo(actor));
            Assert.That(scope.CorrelationId, Is.EqualTo("abc"));
            return Task.FromResult<KeyView>(null!);
        });
    }

    private Task<IdempotentResult<RotatedKey>> SendAsync(IdempotentRequest? repeat, Func<Task>? work = null)
    {
        var behavior = new IdempotencyBehavior<RotateKey, IdempotentResult<RotatedKey>>(_running);
        return behavior.Handle(new RotateKey { IdempotentRequest = repeat }, default, async () =>
        {
            await (work?.Invoke() ?? Task.CompletedTask);
            return null!;
        });
    }
}
