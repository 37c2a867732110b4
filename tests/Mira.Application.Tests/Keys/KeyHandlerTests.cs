using FluentValidation;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Moq;

namespace Mira.Application.Tests.Keys;

public class KeyHandlerTests
{
    private static readonly KeyDefaults Defaults = new() { ExpiryDays = 11, GraceMinutes = 7 };
    private static readonly IdempotentRequest IdempotentRequest = new("mira_key_000000000001", "once", "ab");

    private readonly AuditScope _scope = new();
    private FakeLedger _ledger = null!;
    private HeldKey _held = null!;

    [SetUp]
    public void SetUp()
    {
        _ledger = new FakeLedger();
        _held = new HeldKey();
        _ledger.Put(_held);
        _scope.Enter(Mock.Of<ICaller>(caller => caller.Actor == new Actor("mira_key_000000000001", "ops", "admin", null, null)));
    }

    [Test]
    public async Task An_issued_key_is_what_was_asked_for_and_its_token_opens_it()
    {
        var receipt = await CreateAsync(new CreateKey
        {
            Name = "Cafe\u0301",
            Role = "viewer",
            ExpiryDays = 3,
            Owner = "team",
            Permissions = ["b:c", "a:*"],
            Metadata = new Dictionary<string, string?> { ["env"] = "prod" },
            RateLimitPerMinute = 9,
            AllowedIps = ["10.1.1.1/8"],
        });

        var key = Created(receipt);
        Assert.That((key.Name, key.Role, key.Owner, key.RateLimitPerMinute), Is.EqualTo(("Café", Role.Viewer, "team", (int?)9)));
        Assert.That(key.FreePermissions, Is.EqualTo(new[] { "a:*", "b:c" }));
        Assert.That(key.Metadata["env"], Is.EqualTo("prod"));
        Assert.That(key.AllowedIps.Single().ToString(), Is.EqualTo("10.0.0.0/8"));
        Assert.That(key.CreatedBy, Is.EqualTo("mira_key_000000000001"));
        Assert.That(receipt.KeyVersion, Is.EqualTo(1));
        Assert.That((receipt.Body.Name, receipt.Body.Role, receipt.Body.ExpiresAt), Is.EqualTo(("Café", "viewer", (DateTimeOffset?)HeldKey.Start.AddDays(3))));
        Assert.That(receipt.Body.CreatedAt, Is.EqualTo(HeldKey.Start));
        Assert.That(Opens(receipt.Body.ApiKey, key));
    }

    [TestCase(null, null, 11)]
    [TestCase(false, null, 11)]
    [TestCase(null, 3, 3)]
    [TestCase(true, null, null)]
    public async Task A_key_lives_as_long_as_asked_for_or_as_the_default_says(bool? never, int? days, int? expected)
    {
        var receipt = await CreateAsync(new CreateKey { Name = "ci", Role = "viewer", NeverExpires = never, ExpiryDays = days });

        Assert.That(Created(receipt).LifetimeDays, Is.EqualTo(expected));
    }

    [Test]
    public async Task Issuing_again_with_the_same_idempotency_key_makes_no_second_key()
    {
        var message = new CreateKey { Name = "ci", Role = "viewer", IdempotentRequest = IdempotentRequest };
        var first = await CreateAsync(message);
        var second = await CreateAsync(message);

        Assert.That(second, Is.EqualTo(first with { Body = first.Body.WithoutToken(), Replayed = true }));
        Assert.That(_ledger.Keys, Has.Count.EqualTo(2), "the one before and the one made");
    }

    [Test]
    public async Task A_rotated_key_has_a_new_token_and_the_old_one_works_for_the_default_grace()
    {
        var receipt = await RotateAsync(new RotateKey { KeyId = _held.Id.Value });

        Assert.That((receipt.KeyVersion, receipt.Body.Version, receipt.Body.Role), Is.EqualTo((2, 2, "operator")));
        Assert.That(receipt.Body.PreviousValidUntil, Is.EqualTo(HeldKey.Start.AddMinutes(7)));
        Assert.That(receipt.Body.ExpiresAt, Is.EqualTo(HeldKey.Start.AddDays(90)));
        Assert.That(Opens(receipt.Body.ApiKey, _held.Key));
        Assert.That(Opens(_held.Token.Reveal(), _held.Key));
    }

    [Test]
    public async Task A_rotation_may_say_its_own_grace_and_lifetime()
    {
        var receipt = await RotateAsync(new RotateKey { KeyId = _held.Id.Value, GraceMinutes = 0, ExpiryDays = 2 });

        Assert.That(receipt.Body.PreviousValidUntil, Is.EqualTo(HeldKey.Start));
        Assert.That(receipt.Body.ExpiresAt, Is.EqualTo(HeldKey.Start.AddDays(2)));
        Assert.That(Opens(_held.Token.Reveal(), _held.Key), Is.False);
    }

    [Test]
    public async Task A_repeat_is_answered_whatever_happened_to_the_key_since_and_before_it_is_looked_at()
    {
        var message = new RotateKey { KeyId = _held.Id.Value, IfMatch = new VersionCondition([1]), IdempotentRequest = IdempotentRequest };
        var first = await RotateAsync(message);
        _held.Key.Revoke("mira_key_000000000001", null, 1, HeldKey.Start);
        _ledger.Steps.Clear();

        var second = await RotateAsync(message);

        Assert.That(second, Is.EqualTo(first with { Body = first.Body.WithoutToken(), Replayed = true }));
        Assert.That(_ledger.Steps, Is.EqualTo(new[] { "answer", "commit" }));
    }

    [Test]
    public async Task A_revoked_key_says_by_whom_and_why()
    {
        var revoked = await RevokeAsync(new RevokeKey(_held.Id.Value, "le\u0301ak", VersionCondition.Any));

        Assert.That((revoked.KeyId, revoked.RevokedAt), Is.EqualTo((_held.Id.Value, HeldKey.Start)));
        Assert.That((_held.Key.RevokedBy, _held.Key.RevokedReason), Is.EqualTo(("mira_key_000000000001", "léak")));
    }

    [Test]
    public async Task Revoking_again_gives_the_same_answer_whatever_version_is_asked_for()
    {
        var first = await RevokeAsync(new RevokeKey(_held.Id.Value, null, new VersionCondition([1])));
        _ledger.Now += TimeSpan.FromDays(1);

        Assert.That(await RevokeAsync(new RevokeKey(_held.Id.Value, "again", new VersionCondition([1]))), Is.EqualTo(first));
        Assert.That(_held.Key.Version, Is.EqualTo(2));
        Assert.That(_held.Key.RevokedReason, Is.Null);
    }

    [Test]
    public void The_last_admin_is_neither_revoked_nor_switched_off()
    {
        var admin = new HeldKey(Role.Admin);
        _ledger.Put(admin);
        _ledger.OtherAdmins = 0;

        Assert.That(() => RevokeAsync(new RevokeKey(admin.Id.Value, null, VersionCondition.Any)), Throws.TypeOf<LastAdminException>());
        Assert.That(() => UpdateAsync(new UpdateKey { KeyId = admin.Id.Value, Disabled = true }), Throws.TypeOf<LastAdminException>());
        Assert.That(_ledger.Steps, Does.Not.Contain("commit"));
    }

    [Test]
    public void Another_version_than_the_one_that_was_seen_is_left_alone()
    {
        var seen = new VersionCondition([2, 3]);

        Assert.That(() => RotateAsync(new RotateKey { KeyId = _held.Id.Value, IfMatch = seen }), Throws.TypeOf<VersionMismatchException>());
        Assert.That(() => RevokeAsync(new RevokeKey(_held.Id.Value, null, seen)), Throws.TypeOf<VersionMismatchException>());
        Assert.That(() => UpdateAsync(new UpdateKey { KeyId = _held.Id.Value, Name = "x", IfMatch = seen }), Throws.TypeOf<VersionMismatchException>());
        Assert.That(_held.Key.Version, Is.EqualTo(1));
    }

    [TestCase("mira_key_000000000001")]
    [TestCase("nonsense")]
    public void A_key_that_does_not_exist_is_unknown(string id)
    {
        Assert.That(() => RotateAsync(new RotateKey { KeyId = id }), Throws.TypeOf<UnknownKeyException>());
        Assert.That(() => RevokeAsync(new RevokeKey(id, null, VersionCondition.Any)), Throws.TypeOf<UnknownKeyException>());
        Assert.That(() => UpdateAsync(new UpdateKey { KeyId = id }), Throws.TypeOf<UnknownKeyException>());
    }

    [Test]
    public async Task An_update_sets_what_is_there_and_keeps_the_rest()
    {
        await UpdateAsync(Terms(owner: "team"));
        var view = await UpdateAsync(new UpdateKey { KeyId = _held.Id.Value, Name = "new", Role = "viewer", Disabled = true });

        Assert.That((view.Name, view.Role, view.Status, view.Owner), Is.EqualTo(("new", "viewer", "disabled", "team")));
        Assert.That(view.Metadata, Is.EqualTo(new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" }));
        Assert.That(view.AllowedIps, Is.EqualTo(new[] { "10.0.0.0/8" }));
        Assert.That(view.Permissions, Is.EqualTo(new[] { "documents:read", "keys:read" }));
        Assert.That(view.RateLimitPerMinute, Is.EqualTo(5));
        Assert.That(view.Version, Is.EqualTo(3));
    }

    [Test]
    public async Task Null_clears()
    {
        await UpdateAsync(Terms(owner: "team"));
        var view = await UpdateAsync(new UpdateKey
        {
            KeyId = _held.Id.Value,
            Owner = (string?)null,
            Permissions = new Optional<IReadOnlyList<string>?>(null),
            Metadata = new Optional<IReadOnlyDictionary<string, string?>?>(null),
            RateLimitPerMinute = (int?)null,
            AllowedIps = new Optional<IReadOnlyList<string>?>(null),
        });

        Assert.That((view.Owner, view.RateLimitPerMinute), Is.EqualTo(((string?)null, (int?)null)));
        Assert.That(view.Metadata, Is.Empty);
        Assert.That(view.AllowedIps, Is.Empty);
        Assert.That(view.Permissions, Is.EqualTo(Role.Operator.Permissions()));
    }

    [Test]
    public async Task A_merge_takes_pairs_out_puts_others_in_and_keeps_the_rest()
    {
        await UpdateAsync(Terms());

        var view = await MergeAsync(new() { ["a"] = null, ["c"] = "3", ["never"] = null });
        Assert.That(view.Metadata, Is.EqualTo(new Dictionary<string, string> { ["b"] = "2", ["c"] = "3" }));

        Assert.That((await MergeAsync(null)).Metadata, Is.Empty, "null takes all of it");
    }

    [Test]
    public async Task A_merge_that_changes_nothing_is_no_change()
    {
        await UpdateAsync(Terms());

        Assert.That((await MergeAsync(new() { ["b"] = "2", ["never"] = null })).Version, Is.EqualTo(2));
    }

    [Test]
    public async Task What_a_merge_leads_to_is_held_to_the_rules_of_metadata()
    {
        await UpdateAsync(Terms());

        Assert.That(() => MergeAsync(new() { ["c"] = "\n" }), Throws.TypeOf<ValidationException>());
        Assert.That(
            () => MergeAsync(Enumerable.Range(0, 19).ToDictionary(i => $"m{i}", _ => (string?)"")),
            Throws.TypeOf<ValidationException>().With.Property(nameof(ValidationException.Errors)).One.Property("PropertyName").EqualTo("Metadata"));
        Assert.That(() => MergeAsync(Enumerable.Range(0, 18).ToDictionary(i => $"m{i}", _ => (string?)"")), Throws.Nothing);
    }

    [Test]
    public void A_condition_holds_for_the_versions_it_names()
    {
        Assert.That(() => VersionCondition.Any.Demand(5), Throws.Nothing);
        Assert.That(() => new VersionCondition([4, 5]).Demand(5), Throws.Nothing);
        Assert.That(() => new VersionCondition([4]).Demand(5), Throws.TypeOf<VersionMismatchException>().With.Message.Contains("5"));
        Assert.That(() => new VersionCondition([]).Demand(5), Throws.TypeOf<VersionMismatchException>(), "weak tags name none");
    }

    private UpdateKey Terms(string? owner = null) => new()
    {
        KeyId = _held.Id.Value,
        Owner = owner,
        Permissions = new Optional<IReadOnlyList<string>?>(["documents:read"]),
        Metadata = new Optional<IReadOnlyDictionary<string, string?>?>(new Dictionary<string, string?> { ["a"] = "1", ["b"] = "2" }),
        RateLimitPerMinute = 5,
        AllowedIps = new Optional<IReadOnlyList<string>?>(["10.0.0.0/8"]),
    };

    private Task<IdempotentResult<CreatedKey>> CreateAsync(CreateKey message) =>
        new CreateKeyHandler(_ledger, HeldKey.Peppers, Defaults, _scope).Handle(message, default);

    private Task<IdempotentResult<RotatedKey>> RotateAsync(RotateKey message) =>
        new RotateKeyHandler(_ledger, HeldKey.Peppers, Defaults).Handle(message, default);

    private Task<RevokedKey> RevokeAsync(RevokeKey message) => new RevokeKeyHandler(_ledger, _scope).Handle(message, default);

    private Task<KeyView> UpdateAsync(UpdateKey message) => new UpdateKeyHandler(_ledger, Views.Mapper).Handle(message, default);

    private Task<KeyView> MergeAsync(Dictionary<string, string?>? patch) => UpdateAsync(new UpdateKey
    {
        KeyId = _held.Id.Value,
        Metadata = new Optional<IReadOnlyDictionary<string, string?>?>(patch),
        MergesMetadata = true,
    });

    private ApiKey Created(IdempotentResult<CreatedKey> receipt) => _ledger.Keys.Values.Single(key => key.Id.Value == receipt.Body.KeyId);

    private static bool Opens(string? text, ApiKey key) =>
        Token.TryParse(text, out var token) && key.Verify(token, HeldKey.Peppers, System.Net.IPAddress.Parse("10.9.9.9"), HeldKey.Start).IsValid;
}
