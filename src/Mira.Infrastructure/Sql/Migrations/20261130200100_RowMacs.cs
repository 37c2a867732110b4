using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Mira.Infrastructure.Sql
{
    /// <inheritdoc />
    public partial class RowMacs : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<long>(
                name: "changed_seq",
                table: "keys",
                type: "INTEGER",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<long>(
                name: "current_expires_at",
                table: "keys",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.AddColumn<byte[]>(
                name: "mac",
                table: "keys",
                type: "BLOB",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "mac_pepper_id",
                table: "keys",
                type: "TEXT",
                nullable: true);

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
                WHERE ((type >= 'key.' AND type < 'key/') OR (type = 'integrity.violation' AND instr(body, '"count":null') > 0))
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("DROP INDEX \"IX_ledger_key_changes\"");

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
