using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace Mira.Infrastructure.Sql;

/// <summary>Lets <c>dotnet ef migrations add</c> see the model without starting the service.</summary>
internal sealed class MiraDbContextFactory : IDesignTimeDbContextFactory<MiraDbContext>
{
    public MiraDbContext CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<MiraDbContext>().UseSqlite("Data Source=:memory:").Options);
}

/// <summary>The same for PostgreSQL; nothing is connected to.</summary>
internal sealed class PostgresDbContextFactory : IDesignTimeDbContextFactory<PostgresDbContext>
{
    public PostgresDbContext CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<PostgresDbContext>().UseNpgsql("Host=localhost").Options);
}
