using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// What is found for each combination of record, row and key is what the table in docs/airtable.md says. Its first row
/// that fits counts.
/// </summary>
public sealed class RecordComparisonTests
{
    private const string Any = "any";
    private const string RecordId = "recAAAAAAAAAAAAAA";
    private const string OtherId = "recBBBBBBBBBBBBBB";
    private const string FirstColumn = "pending";

    private static readonly Pepper Retired = HeldKey.PepperOf(7);
    private static readonly PepperRing Peppers = new(HeldKey.PepperOf(1), Retired);
    private static readonly RecordMapper Form = new(Peppers);
    private static readonly RecordMapper Former = new(new PepperRing(Retired));
    private static readonly RecordComparison Judgement = new(Form, Peppers);

    private static readonly Dictionary<string, string[]> Columns = new()
    {
        [FirstColumn] = ["yes", "no"],
        ["row"] = ["none", "rolled back", "clean", "dirty", "dirty and missing", "edited", "missing"],
        ["record"] = ["its own", "another"],
        ["key"] = ["none", "working", "quarantined", "revoked"],
        ["status"] = ["revoked", "other"],
        ["MAC"] = ["committed", "committed, old pepper", "another committed", "kept", "wrong"],
        ["content"] = ["same", "other"],
    };

    private static readonly List<string[]> Rules = ReadRules();

    [Test]
    public void Every_combination_is_judged_as_the_table_says()
    {
        var (judged, used) = (0, new HashSet<string[]>());
        foreach (var one in Combinations([]).Where(IsPossible))
        {
            var rule = Rules.Find(cells => Columns.Keys.Select((name, index) => Fits(cells[index], one[name])).All(fits => fits));
            var shown = string.Join(" | ", one.Values);
            Assert.That(rule, Is.Not.Null, shown);
            Assert.That(JudgementOf(one), Is.EqualTo(Enum.Parse<RecordDifference>(rule![Columns.Count])), shown);
            used.Add(rule);
            judged++;
        }

        Assert.That(judged, Is.GreaterThan(800));
        Assert.That(Rules.Where(rule => !used.Contains(rule)).Select(rule => string.Join(" | ", rule)), Is.Empty, "rows that never count");
    }

    [Test]
    public void Every_finding_has_a_row_and_every_cell_a_meaning()
    {
        Assert.That(Rules.Select(rule => rule[Columns.Count]).Distinct(), Is.EquivalentTo(Enum.GetNames<RecordDifference>()));
        foreach (var rule in Rules)
        {
            foreach (var (name, index) in Columns.Keys.Select((name, index) => (name, index)))
                Assert.That(rule[index].Split(" or ").Where(cell => cell != Any), Is.SubsetOf(Columns[name]), $"{name}: {rule[index]}");
        }
    }

    private static RecordDifference JudgementOf(Dictionary<string, string> one)
    {
        var key = KeyOf(one["key"]);
        var fields = RecordMapper.FieldsOf(key ?? new HeldKey().Key);
        if (one["content"] == "other")
            fields[TableSchema.Name] = "edited";
        if (one["status"] == "revoked")
            fields[TableSchema.Status] = "revoked";
        var id = one["record"] == "its own" ? RecordId : OtherId;
        var (held, settled) = one["MAC"] switch
        {
            "committed" => (Form.Sign(fields, id, 1), Form.Sign(fields, id, 1)),
            "committed, old pepper" => (Former.Sign(fields, id, 1), Former.Sign(fields, id, 1)),
            "another committed" => (Form.Sign(fields, id, 1), Form.Sign(fields, id, 2)),
            "kept" => ("00000000.1.ab", "00000000.1.ab"),
            _ => ("00000000.1.ab", Form.Sign(fields, id, 2)),
        };
        fields[TableSchema.Mac] = held;
        return Judgement.Judge(new AirtableRecord(id, fields), RowOf(one["row"], settled), key, one[FirstColumn] == "yes");
    }

    private static ApiKey? KeyOf(string cell)
    {
        var key = new HeldKey().Key;
        if (cell == "quarantined")
            key.Quarantine(RecordComparison.EditedReason, []);
        if (cell == "revoked")
            key.Revoke("me", null, 1, HeldKey.Start);
        return cell == "none" ? null : key;
    }

    private static RecordState? RowOf(string cell, string mac) => cell == "none" ? null : new RecordState
    {
        KeyId = KeyId.Generate(),
        RecordId = RecordId,
        Mac = mac,
        IsUndone = cell == "rolled back",
        IsDirty = cell.StartsWith("dirty", StringComparison.Ordinal),
        Finding = cell.EndsWith("missing", StringComparison.Ordinal) ? TablePoller.MissingReason : cell == "edited" ? RecordComparison.EditedReason : null,
    };

    // A record that says revoked is not what a key that works has; one that says otherwise is not what a revoked key
    // has.
    private static bool IsPossible(Dictionary<string, string> one) =>
        one["content"] == "other" || one["key"] == "none" || one["status"] == "revoked" == (one["key"] == "revoked");

    private static bool Fits(string cell, string value) => cell == Any || cell.Split(" or ").Contains(value);

    private static IEnumerable<Dictionary<string, string>> Combinations(Dictionary<string, string> begun)
    {
        var next = Columns.Keys.FirstOrDefault(name => !begun.ContainsKey(name));
        return next is null ? [begun] : Columns[next].SelectMany(value => Combinations(new Dictionary<string, string>(begun) { [next] = value }));
    }

    private static List<string[]> ReadRules() =>
    [
        .. File.ReadLines(RepositoryFiles.At("docs", "airtable.md"))
            .SkipWhile(line => !line.StartsWith($"| {FirstColumn} |", StringComparison.Ordinal)).Skip(2)
            .TakeWhile(line => line.StartsWith('|'))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries)[1..].Select(cell => cell.Trim('`')).ToArray()),
    ];
}
