using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application.Admins;
using Mira.Application.Ledger;
using Mira.Application.Settings;

namespace Mira.Infrastructure.Start;

/// <summary>Makes the first admin key in a store that has no key, and hands it over once.</summary>
public sealed class FirstAdmin(IServiceScopeFactory scopes, FirstAdminOptions options)
{
    /// <summary>Does nothing when there is a key already.</summary>
    /// <exception cref="SettingException">The file it should go to cannot be written.</exception>
    /// <exception cref="StoreUnavailableException">It cannot be made now.</exception>
    public async Task MakeAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        try
        {
            var created = await scope.ServiceProvider.GetRequiredService<IMediator>()
                .Send(new CreateAdmin("first admin", options.File, OnlyFirst: true), cancellationToken);
            if (created?.Token is { } token)
                await Console.Error.WriteLineAsync($"The first admin key, shown only this once: {token}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(FirstAdminOptions.Setting, "the file cannot be written", exception);
        }
    }
}

/// <summary>Where the first admin key goes: <c>MIRA_BOOTSTRAP_KEY_FILE</c>, or standard error without it.</summary>
public sealed record FirstAdminOptions(string? File)
{
    public const string Setting = "MIRA_BOOTSTRAP_KEY_FILE";

    public static FirstAdminOptions Read(SettingReader settings) => new(settings.Text(Setting, "Mira:BootstrapKeyFile"));
}
