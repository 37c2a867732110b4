using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Mira.Application.Settings;

namespace Mira.Web.Hosting;

/// <summary>
/// <c>ASPNETCORE_URLS</c>: looked at before anything is opened, and once more when the server cannot listen there.
/// </summary>
public static class ServedAddresses
{
    private const string Setting = "ASPNETCORE_URLS";

    /// <exception cref="SettingException">One of them is no address.</exception>
    public static void Demand(SettingReader settings)
    {
        foreach (var text in settings.Text("urls")?.Split(';', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            if (Parse(text) is null)
                throw new SettingException(Setting, "each item must be an address like http://localhost:5000");
        }
    }

    /// <summary>What kept the server from listening; null when it was something else.</summary>
    public static SettingException? Refusal(Exception exception) => exception switch
    {
        IOException { InnerException: AddressInUseException } => new SettingException(Setting, "the address is in use", exception),
        SocketException or IOException { InnerException: SocketException } =>
            new SettingException(Setting, "the address is not one this machine can listen on", exception),
        InvalidOperationException { Source: "Microsoft.AspNetCore.Server.Kestrel.Core" } =>
            new SettingException(Setting, "the address cannot be served; https needs a certificate", exception),
        _ => null,
    };

    /// <summary>One of the addresses; null when it is none.</summary>
    internal static BindingAddress? Parse(string text)
    {
        try
        {
            var address = BindingAddress.Parse(text);
            return address.Scheme is "http" or "https" && address.Port is >= 0 and <= 65_535 ? address : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
