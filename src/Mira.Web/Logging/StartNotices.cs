using AutoMapper;
using Mira.Web.Requests;

namespace Mira.Web.Logging;

/// <summary>
/// What whoever runs the service should know from its start on: each once, and none of it in the middle of a call.
/// </summary>
/// <param name="hasLicenseKey">Is <c>AUTOMAPPER_LICENSE_KEY</c> given? The library judges it when its mapper is
/// made.</param>
public sealed partial class StartNotices(EdgeOptions edge, bool hasLicenseKey, IServiceProvider services, ILogger<StartNotices> log) : IHostedService
{
    public const string LicenseSetting = "AUTOMAPPER_LICENSE_KEY";
    public const string LicensePath = "Mira:AutoMapperLicenseKey";

    /// <summary>Where the library logs what it has to say about its licence.</summary>
    public const string LicenseCategory = "LuckyPennySoftware.AutoMapper.License";

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (hasLicenseKey)
            services.GetRequiredService<IMapper>();
        else
            LogNoLicense();
        foreach (var network in edge.TooWide)
            LogTooWide(network);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(Level = LogLevel.Information, Message = "AutoMapper, a library in this service, runs without a licence key (AUTOMAPPER_LICENSE_KEY). Production may need one: see its licence")]
    private partial void LogNoLicense();

    [LoggerMessage(Level = LogLevel.Warning, Message = "MIRA_TRUSTED_PROXIES holds {Network}: whoever calls from there chooses the address that Mira sees, so allowed_ips and the limit of failed attempts keep nobody out. List the proxies alone")]
    private partial void LogTooWide(System.Net.IPNetwork network);
}
