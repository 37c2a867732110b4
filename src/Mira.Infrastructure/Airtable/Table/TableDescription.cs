namespace Mira.Infrastructure.Airtable;

/// <summary>The table as Airtable describes it.</summary>
/// <param name="Id">Airtable's id of it, <c>tbl…</c>, which a new name does not change.</param>
public sealed record TableDescription(string Id, string Name, IReadOnlyList<AirtableField> Fields);

/// <param name="Type">Airtable's name for the type, like <c>singleLineText</c>.</param>
/// <param name="Choices">What may be chosen in a field of type <c>singleSelect</c>; empty for others.</param>
public sealed record AirtableField(string Name, string Type, IReadOnlyList<string> Choices);
