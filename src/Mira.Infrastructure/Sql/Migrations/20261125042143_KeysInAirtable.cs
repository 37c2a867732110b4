using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Mira.Infrastructure.Sql
{
    /// <inheritdoc />
    public partial class KeysInAirtable : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<bool>(
                name: "is_withheld",
                table: "keys",
                type: "INTEGER",
                nullable: false,
                defaultValue: false);

            migrationBuilder.CreateTable(
                name: "airtable_intents",
                columns: table => new
                {
                    key_id = table.Column<string>(type: "TEXT", nullable: false),
                    operation = table.Column<Guid>(type: "TEXT", nullable: false),
                    kind = table.Column<int>(type: "INTEGER", nullable: false),
                    state = table.Column<int>(type: "INTEGER", nullable: false),
                    record = table.Column<string>(type: "TEXT", nullable: false),
                    events = table.Column<string>(type: "TEXT", nullable: false),
                    answer_caller = table.Column<string>(type: "TEXT", nullable: true),
                    answer_key = table.Column<string>(type: "TEXT", nullable: true),
                    answer_fingerprint = table.Column<string>(type: "TEXT", nullable: true),
                    answer = table.Column<string>(type: "TEXT", nullable: true),
                    owner = table.Column<string>(type: "TEXT", nullable: false),
                    deadline = table.Column<long>(type: "INTEGER", nullable: false),
                    record_id = table.Column<string>(type: "TEXT", nullable: true),
                    mac = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_airtable_intents", x => x.key_id);
                });

            migrationBuilder.CreateTable(
                name: "airtable_rows",
                columns: table => new
                {
                    key_id = table.Column<string>(type: "TEXT", nullable: false),
                    record_id = table.Column<string>(type: "TEXT", nullable: false),
                    mac = table.Column<string>(type: "TEXT", nullable: false),
                    settled_seq = table.Column<long>(type: "INTEGER", nullable: false),
                    is_dirty = table.Column<bool>(type: "INTEGER", nullable: false),
                    missing_sweeps = table.Column<int>(type: "INTEGER", nullable: false),
                    finding = table.Column<string>(type: "TEXT", nullable: true),
                    last_used_at = table.Column<long>(type: "INTEGER", nullable: true),
                    is_undone = table.Column<bool>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_airtable_rows", x => x.key_id);
                });

            migrationBuilder.CreateTable(
                name: "airtable_state",
                columns: table => new
                {
                    id = table.Column<int>(type: "INTEGER", nullable: false),
                    holder = table.Column<string>(type: "TEXT", nullable: true),
                    held_until = table.Column<long>(type: "INTEGER", nullable: false),
                    fence = table.Column<long>(type: "INTEGER", nullable: false),
                    polled_at = table.Column<long>(type: "INTEGER", nullable: true),
                    seen_until = table.Column<long>(type: "INTEGER", nullable: true),
                    swept_at = table.Column<long>(type: "INTEGER", nullable: true),
                    vanished = table.Column<int>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_airtable_state", x => x.id);
                });

            migrationBuilder.InsertData(
                table: "airtable_state",
                columns: new[] { "id", "fence", "held_until", "holder", "polled_at", "seen_until", "swept_at", "vanished" },
                values: new object[] { 1, 0L, 0L, null, null, null, null, 0 });

            migrationBuilder.CreateIndex(
                name: "IX_airtable_intents_operation",
                table: "airtable_intents",
                column: "operation");

            migrationBuilder.CreateIndex(
                name: "IX_airtable_rows_finding",
                table: "airtable_rows",
                column: "finding");

            migrationBuilder.CreateIndex(
                name: "IX_airtable_rows_is_dirty",
                table: "airtable_rows",
                column: "is_dirty");

            migrationBuilder.CreateIndex(
                name: "IX_airtable_rows_record_id",
                table: "airtable_rows",
                column: "record_id");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "airtable_intents");

            migrationBuilder.DropTable(
                name: "airtable_rows");

            migrationBuilder.DropTable(
                name: "airtable_state");

            migrationBuilder.DropColumn(
                name: "is_withheld",
                table: "keys");
        }
    }
}
