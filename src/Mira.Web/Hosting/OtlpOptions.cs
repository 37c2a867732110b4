using Mira.Application.Settings;

namespace Mira.Web.Hosting;

/// <summary>
/// <c>OTEL_EXPORTER_OTLP_ENDPOINT</c>: where traces and metrics are sent to. Without it there are no traces at all, and
/// nothing is spent on them. All else is said by the other variables of OpenTelemetry
/// (<c>OTEL_EXPORTER_OTLP_PROTOCOL</c>, <c>_HEADERS</c>, <c>OTEL_TRACES_SAMPLER</c> …).
/// </summary>
public sealed record OtlpOptions(bool IsOn)
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string Protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";

    /// <exception cref="SettingException">It is no address.</exception>
    public static OtlpOptions Read(SettingReader settings)
    {
        if (settings.Text(Endpoint) is not { } address)
            return new OtlpOptions(false);

        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0)
            throw new SettingException(Endpoint, "must be an address like http://localhost:4317, without credentials");
        settings.Choice(Protocol, null, "grpc", "grpc", "http/protobuf");
        return new OtlpOptions(true);
    }
}
