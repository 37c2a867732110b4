using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application.Admins;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Start;

/// <summary>Makes the first admin key in a store that has no key, and hands it over once.</summary>
public sealed class FirstAdmin(IServiceScopeFactory scopes, FirstAdminOptions options)
{
    // The same for each attempt: one whose commit was undecided may have been made.
    private readonly Token _token = Token.Generate(KeyId.Generate());
    private bool _isShown;

    /// <summary>Does nothing when there is a key already.</summary>
    /// <exception cref="SettingException">The file it should go to cannot be written.</exception>
    /// <exception cref="StoreUnavailableException">It cannot be made now.</exception>
    public async Task MakeAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        try
        {
            var created = await scope.ServiceProvider.GetRequiredService<IMediator>()
                .Send(new CreateAdmin("first admin", options.File, OnlyFirst: true) { Token = _token }, cancellationToken);
            if (created?.Token is not { } token || _isShown)
                return;

            _isShown = true;
            await Console.Error.WriteLineAsync($"The first admin key, shown only this once: {token}");
        }
        catch (LedgerUnavailableException exception) when (exception.IsUndecided && options.File is null && !_isShown)
        {
            // Nobody else has it, and this process may not live to find out.
            await Console.Error.WriteLineAsync(
                $"The first admin key, shown in case the store has taken it, which is not known yet: {_token.Reveal()}");
            throw;
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
