using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Admins;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Admins;

/// <summary>Makes the first admin key in a store that has no key, and hands it over once.</summary>
public sealed partial class FirstAdmin(IServiceScopeFactory scopes, FirstAdminOptions options, ILogger<FirstAdmin> log)
{
    // The same for each attempt: one whose commit was undecided may have been made.
    private readonly Token _token = Token.Generate(KeyId.Generate());
    private bool _isHandedOver;
    private string? _held;

    /// <summary>Does nothing when there is a key already.</summary>
    /// <exception cref="SettingException">The file it should go to cannot be written, or not safely.</exception>
    /// <exception cref="StoreUnavailableException">It cannot be made now.</exception>
    public async Task MakeAsync(CancellationToken cancellationToken)
    {
        if (options.File is { } file)
            FileTrust.DemandFolderOf(FirstAdminOptions.Setting, file);

        await using var scope = scopes.CreateAsyncScope();
        try
        {
            var created = await scope.ServiceProvider.GetRequiredService<IMediator>()
                .Send(new CreateAdmin("first admin", options.File, OnlyFirst: true) { Token = _token }, cancellationToken);
            if (created?.Token is not { } token || _isHandedOver)
                return;

            _isHandedOver = true;
            _held = token;
            if (options.IsShownLater)
                return;

            Show();
            if (Console.IsErrorRedirected)
                LogKept();
        }
        catch (LedgerUnavailableException exception) when (exception.IsUndecided && options.File is null && !_isHandedOver)
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

    /// <summary>
    /// The token that nobody has seen yet, for who shows it now; null when there is none, and from the second time on.
    /// </summary>
    public string? Take() => Interlocked.Exchange(ref _held, null);

    /// <summary>Shows the token on standard error, if nobody has seen it yet.</summary>
    public void Show()
    {
        if (Take() is { } token)
            Console.Error.WriteLine($"The first admin key, shown only this once: {token}");
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The first admin key went to standard error, which is no terminal: where that is collected, the key lies in a log. Rotate it with grace_minutes 0, and give MIRA_BOOTSTRAP_KEY_FILE at the first start of the next store")]
    private partial void LogKept();
}

/// <summary>Where the first admin key goes: <c>MIRA_BOOTSTRAP_KEY_FILE</c>, or standard error without it.</summary>
/// <param name="IsShownLater">True when the host shows it, with what a person does next.</param>
public sealed record FirstAdminOptions(string? File, bool IsShownLater = false)
{
    public const string Setting = "MIRA_BOOTSTRAP_KEY_FILE";

    public static FirstAdminOptions Read(SettingReader settings) =>
        new(settings.Text(Setting, "Mira:BootstrapKeyFile"), IsShownLater: !Console.IsOutputRedirected && !Console.IsErrorRedirected);
}
