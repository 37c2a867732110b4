using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Mira.Infrastructure.Sql
{
    /// <inheritdoc />
    public partial class PostgresRowMacs : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<long>(
                name: "changed_seq",
                table: "keys",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<long>(
                name: "current_expires_at",
                table: "keys",
                type: "bigint",
                nullable: true);

            migrationBuilder.AddColumn<byte[]>(
                name: "mac",
                table: "keys",
                type: "bytea",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "mac_pepper_id",
                table: "keys",
                type: "text",
                nullable: true,
                collation: "C");

            migrationBuilder.CreateIndex(
                name: "IX_keys_mac_pepper_id",
                table: "keys",
                column: "mac_pepper_id");

            migrationBuilder.Sql(
                "UPDATE keys SET current_expires_at = (SELECT expires_at FROM secrets WHERE secrets.key_id = keys.id ORDER BY version DESC LIMIT 1)");

            // Each cold read asks for the last change of one key, however many other events name it.
            migrationBuilder.Sql(
                """
                CREATE INDEX "IX_ledger_key_changes" ON ledger (subject, seq)
                WHERE ((type >= 'key.' AND type < 'key/') OR (type = 'integrity.violation' AND strpos(body, '"count":null') > 0))
                """);

            // A node of an earlier version, which does not know of MACs, changes no key any more: its rows would look forged.
            migrationBuilder.Sql("ALTER TABLE keys ALTER COLUMN changed_seq DROP DEFAULT");
            migrationBuilder.Sql(
                """
                CREATE FUNCTION mira_demand_mac() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.version <> OLD.version AND NEW.mac IS NOT DISTINCT FROM OLD.mac THEN
                        RAISE EXCEPTION 'a key is changed by a version of Mira that is older than its tables';
                    END IF;
                    RETURN NEW;
                END $$
                """);
            migrationBuilder.Sql("CREATE TRIGGER mira_demand_mac BEFORE UPDATE ON keys FOR EACH ROW EXECUTE FUNCTION mira_demand_mac()");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("DROP INDEX \"IX_ledger_key_changes\"");

            migrationBuilder.Sql("DROP TRIGGER mira_demand_mac ON keys");
            migrationBuilder.Sql("DROP FUNCTION mira_demand_mac()");

            migrationBuilder.DropIndex(
                name: "IX_keys_mac_pepper_id",
                table: "keys");

            migrationBuilder.DropColumn(
                name: "changed_seq",
                table: "keys");

            migrationBuilder.DropColumn(
                name: "current_expires_at",
                table: "keys");

            migrationBuilder.DropColumn(
                name: "mac",
                table: "keys");

            migrationBuilder.DropColumn(
                name: "mac_pepper_id",
                table: "keys");
        }
    }
}
