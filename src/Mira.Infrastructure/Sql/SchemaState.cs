using Microsoft.EntityFrameworkCore;
using Mira.Application.Settings;

namespace Mira.Infrastructure.Sql;

/// <summary>How the tables of a database stand to this version of the program.</summary>
/// <param name="IsEmpty">True when no version has made tables there.</param>
/// <param name="Pending">The migrations that this version knows and the database lacks, in their order.</param>
internal sealed record SchemaState(bool IsEmpty, IReadOnlyList<string> Pending)
{
    /// <summary>Reads it, and writes nothing.</summary>
    /// <param name="setting">The setting or option that names the database.</param>
    /// <exception cref="SettingException">A newer version has upgraded the tables. This one would misread them, or
    /// write what the newer one cannot read.</exception>
    public static async Task<SchemaState> ReadAsync(MiraDbContext database, string setting, CancellationToken cancellationToken)
    {
        string[] known = [.. database.Database.GetMigrations()];
        string[] applied = [.. await database.Database.GetAppliedMigrationsAsync(cancellationToken)];
        return applied.Except(known).LastOrDefault() is { } newest
            ? throw new SettingException(setting, $"a newer version of Mira has upgraded this store (migration {newest}): run that version, or restore the copy made before the upgrade")
            : new SchemaState(applied.Length == 0, [.. known.Except(applied)]);
    }
}
