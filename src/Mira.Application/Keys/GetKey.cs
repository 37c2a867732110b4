using AutoMapper;
using MediatR;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Keys;

/// <summary>Shows one key to who may see it; to all others it does not exist.</summary>
public sealed record GetKey(string KeyId, Viewpoint Viewpoint) : IRequest<KeyView>;

public sealed class GetKeyHandler(IKeyStore store, IMapper mapper, TimeProvider clock) : IRequestHandler<GetKey, KeyView>
{
    /// <exception cref="UnknownKeyException">There is no such key, or the caller may not see it.</exception>
    /// <exception cref="StoreUnavailableException">What is stored of it is not what Mira wrote.</exception>
    public async Task<KeyView> Handle(GetKey request, CancellationToken cancellationToken)
    {
        var key = KeyId.TryParse(request.KeyId, out var id) ? (await store.ReadAsync(id, cancellationToken)).Key : null;
        // Who may see it is not known either. Only one who sees all keys is told that there is something.
        if (key is { IsDoubted: true })
            throw request.Viewpoint.Role.SeesAllKeys() ? new StoreUnavailableException(new KeyNotAuthenticException(key.Id).Message) : new UnknownKeyException();

        return key is not null && key.IsVisibleTo(request.Viewpoint)
            ? mapper.ViewOf(key, clock.GetUtcNow())
            : throw new UnknownKeyException();
    }
}
