namespace Mira.Web.Commands;

/// <summary>
/// What <c>--help</c> says: the commands, and the settings that a first installation needs. docs/configuration.md has
/// all of them.
/// </summary>
internal static class HelpText
{
    public const string Text = """
        Mira issues, verifies, rotates and revokes API keys.

        Usage:
          dotnet Mira.Web.dll                     serves
          dotnet Mira.Web.dll <command> [options]    does one thing and stops; <command> --help tells its options

        Commands:
          migrate                        makes or upgrades the tables of the store
          admin create --name N          makes an admin key: the way back in when all are lost
          pepper status                  counts the live secrets under each pepper
          audit verify                   checks the audit trail, or an export of it
          airtable create-table          makes the table of keys, or the fields it lacks
          store copy --from A --to B     copies the keys of one store into another
          backup --to FILE               backs up the embedded store, also while a node uses it
          restore --from FILE            restores a backup into an empty data folder
          health [--url U]               asks a running node whether it is ready

        Settings, as environment variables (or --NAME value):
          ASPNETCORE_URLS                http://localhost:5000: where it serves
          MIRA_DATA_DIR                  mira below $XDG_DATA_HOME or ~/.local/share: database, pepper, audit key
          MIRA_STORE                     sqlite; or postgres, airtable
          MIRA_POSTGRES                  unset: the connection string, needed with MIRA_STORE=postgres
          MIRA_PEPPER_FILE               unset: 32 random bytes in base64; made in the data folder with sqlite
          MIRA_AUDIT_KEY_FILE            unset: the key that signs the audit trail; made in the data folder with sqlite
          MIRA_BOOTSTRAP_KEY_FILE        unset: the file for the first admin key, instead of standard error
          MIRA_TRUSTED_PROXIES           unset: proxies whose X-Forwarded-For counts
          REDIS_HOST                     unset: shares cache and limits between nodes
          MIRA_MIGRATE                   true: every start makes or upgrades the tables; false: migrate alone does

        All settings: docs/configuration.md. The API, once it serves: /swagger/

        """;
}
