using FluentValidation;
using Mira.Application.Keys;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Keys;

public class KeyValidatorTests
{
    private static readonly CreateKey Good = new() { Name = "ci", Role = "operator" };
    private static readonly ListKeys All = new(null, null, null, null, null, null, new Viewpoint(KeyId.Generate(), Role.Admin, null));

    [Test]
    public void A_name_and_a_role_are_enough()
    {
        Assert.That(Failures(new CreateKeyValidator(), Good), Is.Empty);
        Assert.That(Failures(new CreateKeyValidator(), new CreateKey()), Is.EqualTo(new[] { "Name", "Role" }));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("   ")]
    [TestCase("a\u202Eb")]
    public void A_name_is_a_label(string? name) => Assert.That(Failures(new CreateKeyValidator(), Good with { Name = name }), Is.EqualTo(new[] { "Name" }));

    [TestCase("Admin")]
    [TestCase("root")]
    [TestCase("")]
    public void A_role_is_one_of_three(string role) => Assert.That(Failures(new CreateKeyValidator(), Good with { Role = role }), Is.EqualTo(new[] { "Role" }));

    [TestCase(1, true)]
    [TestCase(3650, true)]
    [TestCase(0, false)]
    [TestCase(-1, false)]
    [TestCase(3651, false)]
    public void A_lifetime_is_one_day_to_ten_years(int days, bool valid)
    {
        Assert.That(Failures(new CreateKeyValidator(), Good with { ExpiryDays = days }), valid ? Is.Empty : Is.EqualTo(new[] { "ExpiryDays" }));
        Assert.That(Failures(new RotateKeyValidator(), new RotateKey { ExpiryDays = days }), valid ? Is.Empty : Is.EqualTo(new[] { "ExpiryDays" }));
    }

    [Test]
    public void A_key_that_never_expires_has_no_lifetime()
    {
        Assert.That(Failures(new CreateKeyValidator(), Good with { NeverExpires = true, ExpiryDays = 1 }), Is.EqualTo(new[] { "NeverExpires" }));
        Assert.That(Failures(new CreateKeyValidator(), Good with { NeverExpires = false, ExpiryDays = 1 }), Is.Empty);
        Assert.That(Failures(new CreateKeyValidator(), Good with { NeverExpires = true }), Is.Empty);
    }

    [TestCase(1, true)]
    [TestCase(10_000_000, true)]
    [TestCase(0, false)]
    [TestCase(10_000_001, false)]
    public void A_rate_limit_is_one_to_ten_million(int limit, bool valid)
    {
        Assert.That(Failures(new CreateKeyValidator(), Good with { RateLimitPerMinute = limit }), valid ? Is.Empty : Is.EqualTo(new[] { "RateLimitPerMinute" }));
        Assert.That(Failures(new UpdateKeyValidator(), new UpdateKey { RateLimitPerMinute = limit }), valid ? Is.Empty : Is.EqualTo(new[] { "RateLimitPerMinute" }));
    }

    [TestCase(0, true)]
    [TestCase(43_200, true)]
    [TestCase(-1, false)]
    [TestCase(43_201, false)]
    public void A_grace_is_at_most_thirty_days(int minutes, bool valid) =>
        Assert.That(Failures(new RotateKeyValidator(), new RotateKey { GraceMinutes = minutes }), valid ? Is.Empty : Is.EqualTo(new[] { "GraceMinutes" }));

    [Test]
    public void An_owner_is_a_label()
    {
        Assert.That(Failures(new CreateKeyValidator(), Good with { Owner = " " }), Is.EqualTo(new[] { "Owner" }));
        Assert.That(Failures(new UpdateKeyValidator(), new UpdateKey { Owner = "a\u0007" }), Is.EqualTo(new[] { "Owner" }));
        Assert.That(Failures(new UpdateKeyValidator(), new UpdateKey { Owner = (string?)null }), Is.Empty);
    }

    [Test]
    public void Permissions_are_the_users_own_and_at_most_a_hundred()
    {
        Assert.That(Permits("documents:read", "documents:*"));
        Assert.That(Permits("keys:read"), Is.False);
        Assert.That(Permits("Documents:read"), Is.False);
        Assert.That(Permits("a:b", null!), Is.False);
        Assert.That(Permits([.. Enumerable.Range(0, 100).Select(i => $"a:b{i}")]));
        Assert.That(Permits([.. Enumerable.Range(0, 101).Select(i => $"a:b{i}")]), Is.False);
    }

    [Test]
    public void Metadata_is_at_most_twenty_pairs_of_text()
    {
        Assert.That(Carries(("a", "b"), ("c", "")));
        Assert.That(Carries(("", "b")), Is.False);
        Assert.That(Carries(("a", null)), Is.False);
        Assert.That(Carries(("a", "b\n")), Is.False);
        Assert.That(Carries((new string('a', 65), "")), Is.False);
        Assert.That(Carries(("a", new string('b', 513))), Is.False);
        Assert.That(Carries([.. Enumerable.Range(0, 20).Select(i => ($"{i}", (string?)""))]));
        Assert.That(Carries([.. Enumerable.Range(0, 21).Select(i => ($"{i}", (string?)""))]), Is.False);
    }

    [Test]
    public void Addresses_are_plain_and_at_most_fifty()
    {
        Assert.That(Comes("10.0.0.0/8", "::1"));
        Assert.That(Comes("localhost"), Is.False);
        Assert.That(Comes("::1", null!), Is.False);
        Assert.That(Comes([.. Enumerable.Range(0, 50).Select(i => $"10.0.0.{i}")]));
        Assert.That(Comes([.. Enumerable.Range(0, 51).Select(i => $"10.0.0.{i}")]), Is.False);
    }

    [Test]
    public void An_update_without_anything_is_well_formed() => Assert.That(Failures(new UpdateKeyValidator(), new UpdateKey()), Is.Empty);

    [Test]
    public void Name_role_and_disabled_cannot_be_cleared()
    {
        var cleared = new UpdateKey { Name = (string?)null, Role = (string?)null, Disabled = (bool?)null };

        Assert.That(Failures(new UpdateKeyValidator(), cleared), Is.EqualTo(new[] { "Name", "Role", "Disabled" }));
    }

    [Test]
    public void Everything_else_can_be_cleared()
    {
        var cleared = new UpdateKey
        {
            Owner = (string?)null,
            Permissions = new Optional<IReadOnlyList<string>?>(null),
            Metadata = new Optional<IReadOnlyDictionary<string, string?>?>(null),
            RateLimitPerMinute = (int?)null,
            AllowedIps = new Optional<IReadOnlyList<string>?>(null),
        };

        Assert.That(Failures(new UpdateKeyValidator(), cleared), Is.Empty);
    }

    [Test]
    public void What_an_update_sets_is_held_to_the_same_rules()
    {
        var bad = new UpdateKey
        {
            Permissions = new Optional<IReadOnlyList<string>?>(["keys:manage"]),
            Metadata = new Optional<IReadOnlyDictionary<string, string?>?>(new Dictionary<string, string?> { ["a"] = null }),
            AllowedIps = new Optional<IReadOnlyList<string>?>(["here"]),
        };

        Assert.That(Failures(new UpdateKeyValidator(), bad), Is.EqualTo(new[] { "Permissions", "Metadata", "AllowedIps" }));
        Assert.That(
            Failures(new UpdateKeyValidator(), new UpdateKey { Metadata = bad.Metadata, MergesMetadata = true }), Is.Empty, "null takes a pair out");
    }

    [Test]
    public void A_reason_is_at_most_five_hundred_characters()
    {
        Assert.That(Reason(null));
        Assert.That(Reason(new string('a', 500)));
        Assert.That(Reason(new string('a', 501)), Is.False);
        Assert.That(Reason(""), Is.False);
        Assert.That(Reason("a\nb"), Is.False);
    }

    [Test]
    public void Filters_of_a_list_are_held_to_the_words_they_mean()
    {
        var validator = new ListKeysValidator();
        Assert.That(Failures(validator, All), Is.Empty);
        Assert.That(Failures(validator, All with { Role = "viewer", Status = "rotating", Owner = "me", Q = "", Limit = "200", Cursor = Cursor.Write("k", 3) }), Is.Empty);

        var bad = validator.Validate(new ListKeys("boss", "alive", " ", new string('a', 201), "0", "x", All.Viewpoint)).Errors;

        Assert.That(bad.Select(error => error.PropertyName), Is.EqualTo(new[] { "Role", "Status", "Owner", "Q", "Limit", "Cursor" }));
        Assert.That(bad.Select(error => error.ErrorCode), Is.All.EqualTo(KeyInput.InvalidParameter));
    }

    [TestCase("1", true)]
    [TestCase("200", true)]
    [TestCase("0", false)]
    [TestCase("201", false)]
    [TestCase("-1", false)]
    [TestCase("", false)]
    [TestCase("1e1", false)]
    public void A_page_has_1_to_200_rows(string limit, bool valid) =>
        Assert.That(Failures(new ListKeysValidator(), All with { Limit = limit }), valid ? Is.Empty : Is.EqualTo(new[] { "Limit" }));

    private static string[] Failures<T>(AbstractValidator<T> validator, T message) => [.. validator.Validate(message).Errors.Select(error => error.PropertyName)];

    private static bool Permits(params string[] permissions) => IsGood(Good with { Permissions = permissions }, "Permissions");

    private static bool Carries(params (string Key, string? Value)[] pairs) =>
        IsGood(Good with { Metadata = pairs.ToDictionary(pair => pair.Key, pair => pair.Value) }, "Metadata");

    private static bool Comes(params string[] ranges) => IsGood(Good with { AllowedIps = ranges }, "AllowedIps");

    private static bool Reason(string? reason) => Failures(new RevokeKeyValidator(), new RevokeKey("", reason, VersionCondition.Any)).Length == 0;

    private static bool IsGood(CreateKey message, string field)
    {
        var failures = Failures(new CreateKeyValidator(), message);
        Assert.That(failures, Is.All.EqualTo(field));
        return failures.Length == 0;
    }
}
