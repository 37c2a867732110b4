using FluentValidation;
using MediatR;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Admins;

/// <summary>Makes an admin key without one: at the first start, and as the way back in when all are lost.</summary>
/// <param name="File">Where the token is written (mode 0600); null gives it to the sender.</param>
/// <param name="OnlyFirst">Does nothing when there is any key already.</param>
public sealed record CreateAdmin(string Name, string? File, bool OnlyFirst) : IRequest<CreatedAdmin?>
{
    /// <summary>
    /// The token to make a key for; null for a new one. Sent again with the same one, it finds the key that the first
    /// attempt made.
    /// </summary>
    public Token? Token { get; init; }
}

/// <param name="Token">Null when it was written to the file.</param>
public sealed record CreatedAdmin(string KeyId, string? Token);

/// <summary>Puts a token where only its owner can read it.</summary>
public interface ITokenFile
{
    /// <summary>Whole and on the disk before this returns, or not there at all.</summary>
    /// <exception cref="IOException">It cannot be written, or is there already and may not be replaced.</exception>
    void Write(string path, string token, bool replace);
}

public sealed class CreateAdminValidator : AbstractValidator<CreateAdmin>
{
    public CreateAdminValidator() => RuleFor(admin => admin.Name).IsLabel();
}

public sealed class CreateAdminHandler(ILedger ledger, PepperRing peppers, ITokenFile file) : IRequestHandler<CreateAdmin, CreatedAdmin?>
{
    public const int LifetimeDays = 365;

    public Task<CreatedAdmin?> Handle(CreateAdmin request, CancellationToken cancellationToken) => ledger.ChangeAsync(
        async change =>
        {
            var token = request.Token ?? Token.Generate(KeyId.Generate());
            if (request.OnlyFirst && await change.HasKeysAsync())
                return request.Token is not null && await change.FindKeyAsync(token.KeyId) is not null ? Created(request, token) : null;

            var terms = new KeyTerms { Name = KeyInput.Normalize(request.Name)!, Role = Role.Admin, LifetimeDays = LifetimeDays };
            var reason = request.OnlyFirst ? "bootstrap" : "recovery";
            change.Add(ApiKey.Create(token.KeyId, peppers.Seal(token), terms, Actor.SystemName, change.Now, reason));

            // Before the commit: a crash between the two leaves a file that opens nothing, never a key that nobody
            // holds.
            if (request.File is not null)
                file.Write(request.File, token.Reveal(), replace: request.OnlyFirst);
            return Created(request, token);
        },
        cancellationToken);

    private static CreatedAdmin Created(CreateAdmin request, Token token) => new(token.KeyId.Value, request.File is null ? token.Reveal() : null);
}
