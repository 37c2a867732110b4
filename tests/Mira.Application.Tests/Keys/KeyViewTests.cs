using System.Text.Json;
using Mira.Application.Keys;
using Mira.Domain.Keys;

namespace Mira.Application.Tests.Keys;

public class KeyViewTests
{
    [Test]
    public void Every_view_has_a_source_for_each_of_its_fields() => Views.Configuration.AssertConfigurationIsValid();

    [Test]
    public void A_view_shows_all_of_a_key_but_its_secrets()
    {
        var range = IpRange.TryParse("10.1.2.3/8", out var parsed) ? parsed : throw new FormatException();
        var held = new HeldKey(new KeyTerms
        {
            Name = "billing",
            Role = Role.Viewer,
            LifetimeDays = 30,
            Owner = "team",
            Permissions = ["documents:*"],
            Metadata = new Dictionary<string, string> { ["env"] = "prod" },
            RateLimitPerMinute = 5,
            AllowedIps = [range],
        });

        var view = Views.Mapper.ViewOf(held.Key, HeldKey.Start);

        Assert.That((view.KeyId, view.Name, view.Role, view.Status), Is.EqualTo((held.Id.Value, "billing", "viewer", "active")));
        Assert.That((view.Owner, view.RateLimitPerMinute, view.Version), Is.EqualTo(("team", (int?)5, 1)));
        Assert.That(view.Permissions, Is.EqualTo(new[] { "documents:*", "keys:read" }));
        Assert.That(view.Metadata, Is.EqualTo(new Dictionary<string, string> { ["env"] = "prod" }));
        Assert.That(view.AllowedIps, Is.EqualTo(new[] { "10.0.0.0/8" }));
        Assert.That((view.CreatedAt, view.CreatedBy, view.ExpiresAt), Is.EqualTo((HeldKey.Start, "system", (DateTimeOffset?)HeldKey.Start.AddDays(30))));
        Assert.That(view.Secrets.Single().ExpiresAt, Is.EqualTo(HeldKey.Start.AddDays(30)));
        var json = JsonSerializer.Serialize(view);
        Assert.That(json, Does.Not.Contain(Convert.ToBase64String(held.Key.Current.Digest.ToArray())));
        Assert.That(json, Does.Not.Contain(held.Key.Current.PepperId));
        Assert.That(json, Does.Not.Contain(held.Token.Reveal()));
    }

    [Test]
    public void The_status_is_that_of_the_moment()
    {
        var held = new HeldKey(days: 1);

        Assert.That(Views.Mapper.ViewOf(held.Key, HeldKey.Start.AddDays(1).AddTicks(-1)).Status, Is.EqualTo("active"));
        Assert.That(Views.Mapper.ViewOf(held.Key, HeldKey.Start.AddDays(1)).Status, Is.EqualTo("expired"));
    }

    [Test]
    public void A_view_shows_the_secrets_that_work_and_the_five_that_ended_last()
    {
        var held = new HeldKey(days: null);
        for (var i = 0; i < 7; i++)
            held.Rotate(0, HeldKey.Start.AddMinutes(i));
        held.Rotate(60, HeldKey.Start.AddMinutes(7));

        Assert.That(SecretsAt(held, HeldKey.Start.AddMinutes(8)), Is.EqualTo(new[] { 3, 4, 5, 6, 7, 8, 9 }));
        Assert.That(SecretsAt(held, HeldKey.Start.AddMinutes(67)), Is.EqualTo(new[] { 4, 5, 6, 7, 8, 9 }), "one more ended");
        Assert.That(SecretsAt(held, HeldKey.Start.AddDays(91)), Is.EqualTo(new[] { 9 }), "after 90 days");
    }

    private static IEnumerable<int> SecretsAt(HeldKey held, DateTimeOffset now) =>
        Views.Mapper.ViewOf(held.Key, now).Secrets.Select(secret => secret.Version);
}
