using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Mira.Infrastructure.Sql
{
    /// <inheritdoc />
    public partial class PostgresSignedLedger : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "signature",
                table: "ledger_head",
                type: "text",
                nullable: true,
                collation: "C");

            migrationBuilder.AddColumn<long>(
                name: "signed_at",
                table: "ledger_head",
                type: "bigint",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "signed_by",
                table: "ledger_head",
                type: "text",
                nullable: true,
                collation: "C");

            migrationBuilder.CreateTable(
                name: "checkpoints",
                columns: table => new
                {
                    seq = table.Column<long>(type: "bigint", nullable: false),
                    hash = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    at = table.Column<long>(type: "bigint", nullable: false),
                    signature = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    signed_by = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_checkpoints", x => x.seq);
                });

            migrationBuilder.CreateTable(
                name: "ledger_begin",
                columns: table => new
                {
                    id = table.Column<int>(type: "integer", nullable: false),
                    seq = table.Column<long>(type: "bigint", nullable: false),
                    hash = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    signed_at = table.Column<long>(type: "bigint", nullable: false),
                    signature = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    epoch = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_ledger_begin", x => x.id);
                });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "checkpoints");

            migrationBuilder.DropTable(
                name: "ledger_begin");

            migrationBuilder.DropColumn(
                name: "signature",
                table: "ledger_head");

            migrationBuilder.DropColumn(
                name: "signed_at",
                table: "ledger_head");

            migrationBuilder.DropColumn(
                name: "signed_by",
                table: "ledger_head");
        }
    }
}
