namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Rows of keys in SQLite, whose columns take a value of any type.</summary>
public sealed class UntypedRowTests() : ForgedRows(StoreKind.Sqlite)
{
    [TestCase("UPDATE keys SET version = 99999999999 WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET version = 'two' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET created_at = 'then' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET name = x'ff00ff' WHERE id = '{0}'")]
    [TestCase("UPDATE secrets SET digest = 'short' WHERE key_id = '{0}'")]
    [TestCase("UPDATE secrets SET expires_at = x'00' WHERE key_id = '{0}'")]
    public Task A_value_of_another_type_holds_up_no_other(string attack) => ExpectThatAnUnreadableRowHoldsUpNoOtherAsync(attack);
}
