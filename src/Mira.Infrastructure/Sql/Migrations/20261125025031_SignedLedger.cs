using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Mira.Infrastructure.Sql
{
    /// <inheritdoc />
    public partial class SignedLedger : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "signature",
                table: "ledger_head",
                type: "TEXT",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "signed_at",
                table: "ledger_head",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "signed_by",
                table: "ledger_head",
                type: "TEXT",
                nullable: true);

            migrationBuilder.CreateTable(
                name: "checkpoints",
                columns: table => new
                {
                    seq = table.Column<long>(type: "INTEGER", nullable: false),
                    hash = table.Column<string>(type: "TEXT", nullable: false),
                    at = table.Column<long>(type: "INTEGER", nullable: false),
                    signature = table.Column<string>(type: "TEXT", nullable: false),
                    signed_by = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_checkpoints", x => x.seq);
                });

            migrationBuilder.CreateTable(
                name: "ledger_begin",
                columns: table => new
                {
                    id = table.Column<int>(type: "INTEGER", nullable: false),
                    seq = table.Column<long>(type: "INTEGER", nullable: false),
                    hash = table.Column<string>(type: "TEXT", nullable: false),
                    signed_at = table.Column<long>(type: "INTEGER", nullable: false),
                    signature = table.Column<string>(type: "TEXT", nullable: false),
                    epoch = table.Column<string>(type: "TEXT", nullable: false)
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
