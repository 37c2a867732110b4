using AutoMapper;
using MediatR;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>Shows one key to who may see it; to all others it does not exist.</summary>
public sealed record GetKey(string KeyId, Viewpoint Viewpoint) : IRequest<KeyView>;

public sealed class GetKeyHandler(IKeyStore store, IMapper mapper, TimeProvider clock) : IRequestHandler<GetKey, KeyView>
{
    /// <exception cref="UnknownKeyException">There is no such key, or the caller may not see it.</exception>
    public async Task<KeyView> Handle(GetKey request, CancellationToken cancellationToken)
    {
        var key = KeyId.TryParse(request.KeyId, out var id) ? (await store.ReadAsync(id, cancellationToken)).Key : null;
        return key is not null && key.IsVisibleTo(request.Viewpoint)
            ? mapper.ViewOf(key, clock.GetUtcNow())
            : throw new UnknownKeyException();
    }
}
