using System.Net;
using System.Text.RegularExpressions;
using Mira.Application.Settings;

namespace Mira.Infrastructure.Airtable;

/// <summary>The table that keeps the keys (<c>AIRTABLE_…</c>), and how often it is looked at.</summary>
/// <param name="Token">A personal access token with the scopes of docs/airtable.md.</param>
/// <param name="BaseId">Like <c>app0123456789ABCD</c>.</param>
/// <param name="Table">The table's name, or its id.</param>
/// <param name="Url">The API, without <c>/v0</c>.</param>
public sealed partial record AirtableOptions(string Token, string BaseId, string Table, Uri Url)
{
    private const string TokenSetting = "AIRTABLE_TOKEN";
    private const string BaseSetting = "AIRTABLE_BASE_ID";
    private const string TableSetting = "AIRTABLE_TABLE";
    private const string UrlSetting = "AIRTABLE_URL";
    private const int MaximumTableName = 255;

    /// <summary>How often rows changed manually are looked for: 100 ms to 1 h, 10 s when not given.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often the whole table is read, to find deleted rows: 1 s to 1 day, 10 min when not given.</summary>
    public TimeSpan SweepInterval { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// How long keys are verified without a word from Airtable: 1 s to 30 days, 15 min when not given.
    /// </summary>
    public TimeSpan MaxStaleness { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Airtable's limit for a base.</summary>
    internal int CallsPerSecond { get; init; } = 5;

    /// <summary>What that limit is for: a second, and a little for clocks that do not run alike.</summary>
    internal TimeSpan Second { get; init; } = TimeSpan.FromSeconds(1.02);

    /// <summary>How long Airtable refuses everything after that limit was exceeded.</summary>
    internal TimeSpan LockOut { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long one attempt at a change may take, and all of them with the waiting.</summary>
    internal AirtableTimeouts ChangePatience { get; init; } = new(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10));

    /// <summary>The same for what nobody waits for; long enough to outlast a lock-out.</summary>
    internal AirtableTimeouts BackgroundPatience { get; init; } = new(TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(90));

    /// <summary>How long a change waits for the one before it of the same key.</summary>
    internal TimeSpan SettlePatience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a connection is waited for, within an attempt.</summary>
    internal TimeSpan ConnectPatience { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The wait before a second attempt; it doubles before each further one and is spread at random.</summary>
    internal TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long nothing is tried after a row of failures.</summary>
    internal TimeSpan BreakDuration { get; init; } = TimeSpan.FromSeconds(5);

    /// <exception cref="SettingException">One is missing or cannot be right; no value is ever shown.</exception>
    public static AirtableOptions Read(SettingReader settings) => new(
        Demand(settings, TokenSetting, "Mira:Airtable:Token", TokenForm(), "must be a personal access token of Airtable, as it was shown"),
        Demand(settings, BaseSetting, "Mira:Airtable:BaseId", BaseForm(), "must be the id of a base, like app0123456789ABCD"),
        ReadTable(settings),
        ReadUrl(settings))
    {
        PollInterval = settings.Duration("Mira__Airtable__PollInterval", TimeSpan.FromSeconds(10), TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1)),
        SweepInterval = settings.Duration("Mira__Airtable__SweepInterval", TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(1), TimeSpan.FromDays(1)),
        MaxStaleness = settings.Duration("Mira__Airtable__MaxStaleness", TimeSpan.FromMinutes(15), TimeSpan.FromSeconds(1), TimeSpan.FromDays(30)),
    };

    internal AirtableTimeouts PatienceOf(CallPriority urgency) => urgency == CallPriority.Change ? ChangePatience : BackgroundPatience;

    /// <summary>Without the token.</summary>
    public override string ToString() => $"{Table} in {BaseId}";

    private static string Demand(SettingReader settings, string name, string path, Regex form, string problem)
    {
        var text = settings.Text(name, path) ?? throw new SettingException(name, "must be given with MIRA_STORE=airtable");
        return form.IsMatch(text) ? text : throw new SettingException(name, problem);
    }

    private static string ReadTable(SettingReader settings)
    {
        var table = settings.Text(TableSetting, "Mira:Airtable:Table", "API Keys");
        return table.Length <= MaximumTableName && !string.IsNullOrWhiteSpace(table) && table is not ("." or "..") && !table.Any(char.IsControl)
            ? table
            : throw new SettingException(TableSetting, $"must be the name of a table, of at most {MaximumTableName} characters");
    }

    private static Uri ReadUrl(SettingReader settings)
    {
        var text = settings.Text(UrlSetting, "Mira:Airtable:Url", "https://api.airtable.com");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url is not { UserInfo: "", Query: "", Fragment: "" } || url.Host.Length == 0)
            throw new SettingException(UrlSetting, "must be like https://api.airtable.com, without user, query and /v0");
        if (url.Scheme != Uri.UriSchemeHttps && !(url.Scheme == Uri.UriSchemeHttp && IsThisMachine(url)))
            throw new SettingException(UrlSetting, "must begin with https; http is for this machine's own addresses alone");
        if (url.AbsolutePath.TrimEnd('/').EndsWith("/v0", StringComparison.OrdinalIgnoreCase))
            throw new SettingException(UrlSetting, "must be given without /v0");
        return url.AbsolutePath.EndsWith('/') ? url : new Uri(url.AbsoluteUri + "/");
    }

    // The token goes over the wire with every call; a name may lead anywhere, but for this one.
    private static bool IsThisMachine(Uri url) =>
        url.Host == "localhost" || (IPAddress.TryParse(url.DnsSafeHost, out var address) && IPAddress.IsLoopback(address));

    [GeneratedRegex(@"^[!-~]{1,1024}\z")]
    private static partial Regex TokenForm();

    [GeneratedRegex(@"^app[A-Za-z0-9_-]{1,60}\z")]
    private static partial Regex BaseForm();
}

/// <param name="Attempt">Of one attempt, from its turn to the end of the answer.</param>
/// <param name="Total">Of the call: waiting for turns, attempts and the pauses between them.</param>
internal sealed record AirtableTimeouts(TimeSpan Attempt, TimeSpan Total);
