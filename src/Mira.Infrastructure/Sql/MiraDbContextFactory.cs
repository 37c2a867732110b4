using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace Mira.Infrastructure.Sql;

/// <summary>Lets <c>dotnet ef migrations add</c> see the model without starting the service.</summary>
internal sealed class MiraDbContextFactory : IDesignTimeDbContextFactory<MiraDbContext>
{
    public MiraDbContext CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<MiraDbContext>().UseSqlite("Data Source=:memory:").Options);
}
