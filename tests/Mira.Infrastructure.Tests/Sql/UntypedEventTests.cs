namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Events in SQLite, whose columns take a value of any type.</summary>
public sealed class UntypedEventTests() : DamagedEvents(StoreKind.Sqlite)
{
    [TestCase("at", "'then'")]
    [TestCase("at", "1e300")]
    [TestCase("at", "x'ff'")]
    [TestCase("type", "x'ff00'")]
    [TestCase("subject", "12")]
    [TestCase("actor_key_id", "1.5")]
    [TestCase("body", "x'ff00'")]
    [TestCase("body", "''")]
    [TestCase("previous_hash", "12")]
    [TestCase("hash", "x'00'")]
    public async Task A_value_of_another_type_holds_up_no_other(string column, string value)
    {
        await AttackAsync([$"UPDATE ledger SET {column} = {value} WHERE seq = 3"]);

        await ExpectOthersAsync();
    }
}
