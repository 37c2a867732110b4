using Mira.Application.Settings;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Who makes and upgrades the tables (<c>MIRA_MIGRATE</c>): every start, or the command <c>migrate</c> alone. The
/// default is every start. When it is false, the account that serves needs no right to change tables.
/// </summary>
/// <param name="MayChange">May this process make or upgrade tables?</param>
public sealed record SchemaOptions(bool MayChange)
{
    public const string Setting = "MIRA_MIGRATE";

    /// <summary>What makes and upgrades tables in every case.</summary>
    public const string Command = "dotnet Mira.Web.dll migrate";

    /// <exception cref="SettingException">It is neither true nor false.</exception>
    public static SchemaOptions Read(SettingReader settings) => new(settings.Truth(Setting, "Mira:Migrate", true));
}
