using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Mira.Infrastructure.Sql
{
    /// <inheritdoc />
    [DbContext(typeof(MiraDbContext))]
    [Migration("20261130210000_KeySearch")]
    public partial class KeySearch : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql(
                """
                CREATE VIRTUAL TABLE keys_search USING fts5(
                    name_folded, owner_folded, content='keys', content_rowid='created_seq', tokenize='trigram case_sensitive 1');
                """);
            migrationBuilder.Sql("INSERT INTO keys_search(rowid, name_folded, owner_folded) SELECT created_seq, name_folded, owner_folded FROM keys;");
            migrationBuilder.Sql(
                """
                CREATE TRIGGER keys_search_insert AFTER INSERT ON keys BEGIN
                    INSERT INTO keys_search(rowid, name_folded, owner_folded) VALUES (new.created_seq, new.name_folded, new.owner_folded);
                END;
                """);
            migrationBuilder.Sql(
                """
                CREATE TRIGGER keys_search_delete AFTER DELETE ON keys BEGIN
                    INSERT INTO keys_search(keys_search, rowid, name_folded, owner_folded)
                    VALUES ('delete', old.created_seq, old.name_folded, old.owner_folded);
                END;
                """);
            migrationBuilder.Sql(
                """
                CREATE TRIGGER keys_search_update AFTER UPDATE OF created_seq, name_folded, owner_folded ON keys BEGIN
                    INSERT INTO keys_search(keys_search, rowid, name_folded, owner_folded)
                    VALUES ('delete', old.created_seq, old.name_folded, old.owner_folded);
                    INSERT INTO keys_search(rowid, name_folded, owner_folded) VALUES (new.created_seq, new.name_folded, new.owner_folded);
                END;
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("DROP TRIGGER keys_search_insert;");
            migrationBuilder.Sql("DROP TRIGGER keys_search_delete;");
            migrationBuilder.Sql("DROP TRIGGER keys_search_update;");
            migrationBuilder.Sql("DROP TABLE keys_search;");
        }
    }
}
