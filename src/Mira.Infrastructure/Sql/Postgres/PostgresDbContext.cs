using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// The same tables in PostgreSQL: text is compared by its bytes, and each event names the operation that wrote it.
/// </summary>
public sealed class PostgresDbContext(DbContextOptions<PostgresDbContext> options) : MiraDbContext(options)
{
    /// <summary>
    /// Beside the hashed body: by it a node finds out whether a commit went through whose answer was lost.
    /// </summary>
    public const string Operation = nameof(Operation);

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        base.OnModelCreating(modelBuilder);
        modelBuilder.Entity<KeyChange>().ToSqlQuery(KeyChange.OfPostgres);
        modelBuilder.Entity<LedgerEvent>().Property<Guid?>(Operation).HasColumnName(NameOf(Operation));
        foreach (var property in modelBuilder.Model.GetEntityTypes().SelectMany(type => type.GetProperties()))
        {
            if ((property.GetProviderClrType() ?? property.GetValueConverter()?.ProviderClrType ?? property.ClrType) == typeof(string))
                property.SetCollation("C");
        }
    }

    protected override void ConfigureQuestion(DbFunctionBuilder question) => question.HasName("pg_is_in_recovery").IsBuiltIn();
}

/// <summary>Makes contexts for all that works with either database.</summary>
internal sealed class PostgresContexts(IDbContextFactory<PostgresDbContext> contexts) : IDbContextFactory<MiraDbContext>
{
    public MiraDbContext CreateDbContext() => contexts.CreateDbContext();

    public async Task<MiraDbContext> CreateDbContextAsync(CancellationToken cancellationToken = default) =>
        await contexts.CreateDbContextAsync(cancellationToken);
}
