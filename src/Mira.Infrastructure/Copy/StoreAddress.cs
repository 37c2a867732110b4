using Mira.Application.Settings;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Copy;

/// <summary>
/// A store as a command line names it: <c>sqlite</c>, <c>sqlite:DIR</c>, <c>postgres</c> or <c>airtable</c>. All else
/// of it is in the settings.
/// </summary>
/// <param name="Option">Where it was named, for refusals.</param>
/// <param name="Kind">As in <c>MIRA_STORE</c>.</param>
/// <param name="Settings">Those with which a service would use it.</param>
/// <param name="Folder">Where its database is; null for PostgreSQL.</param>
internal sealed record StoreAddress(string Option, string Kind, SettingReader Settings, DataFolder? Folder)
{
    /// <exception cref="SettingException">It is no store, or one of its settings cannot be right.</exception>
    public static StoreAddress Read(string option, string text, SettingReader settings, string contentRoot)
    {
        var (kind, folder) = text.Split(':', 2) switch
        {
            [StoreChoice.Sqlite or StoreChoice.Postgres or StoreChoice.InAirtable] => (text, null),
            [StoreChoice.Sqlite, { Length: > 0 } given] => (StoreChoice.Sqlite, given),
            _ => throw new SettingException(option, "must be sqlite, sqlite:DIR, postgres or airtable"),
        };
        settings = settings.With(StoreChoice.Setting, kind);
        if (folder is not null)
            settings = settings.With(DataFolder.Setting, folder);
        return new StoreAddress(option, kind, settings, StoreChoice.FindFolder(settings, contentRoot));
    }

    public bool IsInAirtable => Kind == StoreChoice.InAirtable;

    public bool IsInFolder => Kind == StoreChoice.Sqlite;

    /// <summary>Do both keep their keys, or the mirror of them, in one database?</summary>
    public bool SharesDatabaseWith(StoreAddress other) => Folder?.RealPath == other.Folder?.RealPath;
}
