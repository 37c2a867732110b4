using System.Text.Json.Nodes;
using Mira.Application.Settings;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

internal sealed class TableSchemaTests
{
    [Test]
    public void A_table_as_it_is_made_has_no_problems() => Assert.That(TableSchema.Problems(Made), Is.Empty);

    [Test]
    public void No_table_is_the_one_problem() => Assert.That(TableSchema.Problems(null), Is.EqualTo(["the table is missing"]));

    [Test]
    public void Text_of_both_kinds_is_text_and_a_choice_may_be_plain_text_and_more_fields_do_no_harm()
    {
        AirtableField[] fields =
        [
            .. Made.Fields.Select(field => field.Type switch
            {
                "singleLineText" => field with { Type = "multilineText" },
                "multilineText" => field with { Type = "singleLineText" },
                "singleSelect" => field with { Type = "singleLineText", Choices = [] },
                _ => field,
            }),
            new("Notes", "multipleAttachments", []),
        ];

        Assert.That(TableSchema.Problems(Made with { Fields = fields }), Is.Empty);
    }

    [Test]
    public void More_choices_than_needed_do_no_harm() =>
        Assert.That(TableSchema.Problems(With("status", new("status", "singleSelect", ["paused", "revoked", "disabled", "active"]))), Is.Empty);

    [TestCase("key_id", "number", "key_id is of type number, and must be singleLineText or multilineText")]
    [TestCase("created_at", "date", "created_at is of type date, and must be dateTime")]
    [TestCase("version", "singleLineText", "version is of type singleLineText, and must be number")]
    [TestCase("role", "multipleSelects", "role is of type multipleSelects, and must be singleSelect with viewer, operator, admin")]
    [TestCase("last_used", "lastModifiedTime", "last_used is of type lastModifiedTime, and must be dateTime")]
    public void A_field_of_the_wrong_type_is_named_with_the_right_one(string name, string type, string problem) =>
        Assert.That(TableSchema.Problems(With(name, new AirtableField(name, type, []))), Is.EqualTo([problem]));

    [Test]
    public void Missing_choices_are_named() => Assert.That(
        TableSchema.Problems(With("role", new AirtableField("role", "singleSelect", ["viewer", "Admin"]))),
        Is.EqualTo(["role lacks the choices operator, admin"]));

    [Test]
    public void Every_missing_field_is_named([ValueSource(nameof(Names))] string name) =>
        Assert.That(TableSchema.Problems(With(name, null)), Is.EqualTo([$"{name} is missing"]));

    [Test]
    public async Task An_empty_base_gets_a_table_that_can_be_written_in_every_field()
    {
        await using var node = await AirtableNode.StartEmptyAsync();

        var done = await TableCheck.CreateTableAsync(node.Client, CancellationToken.None);
        await TableCheck.DemandAsync(node.Client, CancellationToken.None);
        var row = new JsonObject();
        foreach (var field in TableSchema.Fields)
            row[field.Name] = field.Type switch { "number" => 5, "dateTime" => "2026-01-31T12:00:00Z", "singleSelect" => field.Choices[^1], _ => "text" };
        var written = await node.Client.UpsertAsync([row], CallPriority.Change, CancellationToken.None);

        Assert.That(done, Is.EqualTo(["made the table with 16 fields"]));
        Assert.That(written[0].Fields.Select(cell => cell.Key), Is.EquivalentTo(Names));
        Assert.That((string?)written[0].Fields["created_at"], Is.EqualTo("2026-01-31T12:00:00.000Z"));
        Assert.That(node.Sheet.Fields[0].Name, Is.EqualTo("key_id"), "the primary field");
    }

    [Test]
    public async Task A_table_gets_what_it_lacks_and_keeps_what_is_wrong()
    {
        await using var node = await AirtableNode.StartEmptyAsync();
        var sheet = node.Server.AddSheet(AirtableNode.Table, "key_id");
        sheet.AddField("version", "formula");
        sheet.AddField("Notes", "multilineText");

        var done = await TableCheck.CreateTableAsync(node.Client, CancellationToken.None);

        Assert.That(done, Is.EqualTo(Names.Except(["key_id", "version"]).Select(name => $"added the field {name}")));
        Assert.That(
            () => TableCheck.DemandAsync(node.Client, CancellationToken.None),
            Throws.TypeOf<SettingException>().With.Message.StartsWith("AIRTABLE_TABLE: version is of type formula, and must be number (").And.Message.Not.Contains(";"));
        Assert.That(await TableCheck.CreateTableAsync(node.Client, CancellationToken.None), Is.Empty);
    }

    [Test]
    public async Task A_table_is_found_by_its_id_under_any_name()
    {
        await using var node = await AirtableNode.StartAsync();
        await using var other = AirtableNode.Beside(node.Server, options => options with { Table = node.Sheet.Id });
        node.Sheet.Rename("Keys of ours");

        await TableCheck.DemandAsync(other.Client, CancellationToken.None);
        var page = await other.Client.ListAsync(null, null, null, CancellationToken.None);

        Assert.That(page.Records, Is.Empty);
        Assert.That(() => TableCheck.DemandAsync(node.Client, CancellationToken.None), Throws.TypeOf<SettingException>().With.Message.Contains("the table is missing"));
    }

    [Test]
    public async Task A_token_without_the_scope_is_told_which_one()
    {
        await using var node = await AirtableNode.StartEmptyAsync(options: new AirtableServerOptions { Scopes = [AirtableServerOptions.ReadSchema] });

        Assert.That(
            () => TableCheck.CreateTableAsync(node.Client, CancellationToken.None),
            Throws.TypeOf<SettingException>().With.Message.StartsWith("AIRTABLE_TOKEN: ").And.Message.Contains("schema.bases:write"));
    }

    private static IEnumerable<string> Names => TableSchema.Fields.Select(known => known.Name);

    private static TableDescription Made => new("tbl00000000000000", "API Keys", TableSchema.Fields);

    private static TableDescription With(string name, AirtableField? other) =>
        Made with { Fields = [.. Made.Fields.Select(field => field.Name == name ? other : field).OfType<AirtableField>()] };
}
