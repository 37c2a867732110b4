using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Mira.Infrastructure.Sql
{
    /// <inheritdoc />
    [DbContext(typeof(PostgresDbContext))]
    [Migration("20261130210001_PostgresKeySearch")]
    public partial class PostgresKeySearch : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // Where the extension is not installed, or not for this user to make, a search goes through all keys as before.
            migrationBuilder.Sql(
                """
                DO $$
                BEGIN
                    CREATE EXTENSION IF NOT EXISTS pg_trgm;
                    CREATE INDEX "IX_keys_name_trigram" ON keys USING gin (name_folded gin_trgm_ops);
                    CREATE INDEX "IX_keys_owner_trigram" ON keys USING gin (owner_folded gin_trgm_ops);
                EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file OR undefined_object THEN
                    RAISE NOTICE 'no trigram index: %', SQLERRM;
                END $$;
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("DROP INDEX IF EXISTS \"IX_keys_name_trigram\", \"IX_keys_owner_trigram\";");
        }
    }
}
