using System.Net;
using System.Text.Json.Nodes;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>Many change one key at the same moment, each another part of it.</summary>
internal sealed class UpdateRaceTests
{
    private const int Steps = 15;

    /// <summary>One client each: the field, and its value at each step.</summary>
    private static readonly (string Field, Func<int, JsonNode> At)[] Fields =
    [
        ("name", step => $"name {step}"),
        ("owner", step => $"owner {step}"),
        ("role", step => step % 2 == 0 ? "viewer" : "operator"),
        ("rate_limit_per_minute", step => 1000 + step),
        ("metadata", step => new JsonObject { ["step"] = $"{step}" }),
        ("allowed_ips", step => new JsonArray($"10.0.0.{step}")),
    ];

    [Test]
    public async Task No_change_of_a_field_is_lost_to_a_change_of_another()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var admin = mira.Http(mira.Admin);
        var id = MiraHost.IdOf(await mira.NewKeyAsync("viewer"));
        await Task.WhenAll(Fields.Select(field => Task.Run(async () =>
        {
            for (var step = 1; step <= Steps; step++)
            {
                var body = new JsonObject { [field.Field] = field.At(step) }.ToJsonString();
                var answer = (await Calls.PatchAsync(admin, $"/api/keys/{id}", body)).Demand(HttpStatusCode.OK);
                Assert.That(JsonNode.DeepEquals(answer.Body[field.Field], field.At(step)), Is.True, body);
            }
        })));

        var view = (await Calls.GetAsync(admin, $"/api/keys/{id}")).Demand(HttpStatusCode.OK);
        foreach (var (field, at) in Fields)
            Assert.That(JsonNode.DeepEquals(view.Body[field], at(Steps)), Is.True, field);
        Assert.That(view.Number("version"), Is.EqualTo(1 + (Fields.Length * Steps)));
        Assert.That(new LedgerFile(mira.Folder).Check(), Is.Empty);
    }

    [Test]
    public async Task No_pair_of_metadata_is_lost_when_many_are_merged_in()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var admin = mira.Http(mira.Admin);
        var id = MiraHost.IdOf(await mira.NewKeyAsync("viewer"));
        await Task.WhenAll(Enumerable.Range(1, 20).Select(number => Task.Run(async () =>
            (await Calls.PatchAsync(admin, $"/api/keys/{id}", $$$"""{"metadata":{"pair-{{{number}}}":"here"}}""", "application/merge-patch+json"))
                .Demand(HttpStatusCode.OK))));

        var metadata = (await Calls.GetAsync(admin, $"/api/keys/{id}")).Body["metadata"]!.AsObject();
        Assert.That(metadata.Select(pair => pair.Key), Is.EquivalentTo(Enumerable.Range(1, 20).Select(number => $"pair-{number}")));
    }
}
