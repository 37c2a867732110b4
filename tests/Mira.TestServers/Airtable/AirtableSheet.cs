using System.Text.Json.Nodes;

namespace Mira.TestServers.Airtable;

/// <summary>A row as it was when it was looked at.</summary>
public sealed record RecordState(string Id, DateTimeOffset CreatedAt, DateTimeOffset ModifiedAt, JsonObject Fields);

/// <summary>
/// A table of the stand-in, and the hands of the people who work in it: what they do is no call, is not limited, and
/// moves the time of the last change.
/// </summary>
public sealed class AirtableSheet
{
    private readonly Lock _lock;
    private readonly TimeProvider _clock;
    private readonly List<RecordState> _rows = [];
    private readonly List<AirtableFieldSetup> _fields;

    internal AirtableSheet(string name, IEnumerable<AirtableFieldSetup> fields, Lock shared, TimeProvider clock)
    {
        (Name, _lock, _clock) = (name, shared, clock);
        _fields = [.. fields];
    }

    public string Id { get; } = AirtableIds.New("tbl");

    public string Name { get; private set; }

    public IReadOnlyList<AirtableFieldSetup> Fields
    {
        get
        {
            lock (_lock)
                return [.. _fields];
        }
    }

    /// <summary>All rows as they are now, in the table's order.</summary>
    public IReadOnlyList<RecordState> Snapshot()
    {
        lock (_lock)
            return [.. _rows.Select(Copy)];
    }

    /// <summary>The one row whose cell holds this text; null without one.</summary>
    public RecordState? Find(string field, string text) => Snapshot().SingleOrDefault(row => (string?)row.Fields[field] == text);

    /// <summary>A person adds a row.</summary>
    public string Insert(JsonObject fields)
    {
        lock (_lock)
            return Add(Taken(fields, typecast: true)).Id;
    }

    /// <summary>A person changes cells of a row; null empties one.</summary>
    public void Edit(string id, JsonObject fields)
    {
        lock (_lock)
            Change(id, Taken(fields, typecast: true), isWhole: false);
    }

    public void Edit(string id, string field, JsonNode? value) => Edit(id, new JsonObject { [field] = value });

    /// <summary>A person duplicates a row: the same cells under another id.</summary>
    public string Duplicate(string id)
    {
        lock (_lock)
            return Add(Row(id)!.Fields.DeepClone().AsObject()).Id;
    }

    public void Delete(string id)
    {
        lock (_lock)
            Remove(id);
    }

    /// <summary>A person takes a row back out of the trash: as it was, under the id that it had.</summary>
    public void Restore(RecordState row)
    {
        lock (_lock)
            _rows.Add(Copy(row));
    }

    /// <summary>A person deletes every row for which this holds.</summary>
    public int Delete(Predicate<RecordState> match)
    {
        lock (_lock)
            return _rows.RemoveAll(match);
    }

    /// <summary>A person gives the table another name.</summary>
    public void Rename(string name)
    {
        lock (_lock)
            Name = name;
    }

    /// <summary>A person adds a field, also of a type that the metadata API refuses to make.</summary>
    public void AddField(string name, string type, JsonObject? options = null)
    {
        lock (_lock)
            _fields.Add(new AirtableFieldSetup(AirtableIds.New("fld"), name, type, options));
    }

    public void RemoveField(string name)
    {
        lock (_lock)
        {
            _fields.RemoveAll(field => field.Name == name);
            _rows.ForEach(row => row.Fields.Remove(name));
        }
    }

    internal RecordState? Row(string id) => _rows.Find(row => row.Id == id);

    internal IEnumerable<RecordState> Rows => _rows;

    internal bool Has(string field) => _fields.Any(setup => setup.Name == field);

    internal void Add(AirtableFieldSetup field) => _fields.Add(field);

    internal RecordState Add(JsonObject taken)
    {
        var now = _clock.GetUtcNow();
        foreach (var (name, _) in taken.Where(cell => cell.Value is null).ToList())
            taken.Remove(name);
        var row = new RecordState(AirtableIds.New("rec"), now, now, taken);
        _rows.Add(row);
        return row;
    }

    internal RecordState Change(string id, JsonObject taken, bool isWhole)
    {
        var index = _rows.FindIndex(row => row.Id == id);
        var fields = isWhole ? [] : _rows[index].Fields;
        foreach (var (name, value) in taken)
        {
            fields.Remove(name);
            if (value is not null)
                fields[name] = value.DeepClone();
        }

        return _rows[index] = _rows[index] with { Fields = fields, ModifiedAt = _clock.GetUtcNow() };
    }

    internal void Remove(string id) => _rows.RemoveAll(row => row.Id == id);

    /// <summary>What these cells come to, or a refusal; nothing is changed yet.</summary>
    internal JsonObject Taken(JsonObject fields, bool typecast)
    {
        var taken = new JsonObject();
        foreach (var (name, value) in fields)
        {
            var field = _fields.Find(setup => setup.Name == name || setup.Id == name) ?? throw AirtableRefusal.UnknownField(name);
            taken[field.Name] = field.Take(value, typecast);
        }

        return taken;
    }

    internal JsonObject ToJson() => new()
    {
        ["id"] = Id,
        ["name"] = Name,
        ["primaryFieldId"] = _fields[0].Id,
        ["fields"] = new JsonArray([.. _fields.Select(field => field.ToJson())]),
        ["views"] = new JsonArray(new JsonObject { ["id"] = AirtableIds.New("viw"), ["name"] = "Grid view", ["type"] = "grid" }),
    };

    private static RecordState Copy(RecordState row) => row with { Fields = row.Fields.DeepClone().AsObject() };
}
