namespace Mira.Domain.Tokens;

/// <summary>
/// The peppers a node accepts: the current one, under which every new digest is made, and retired ones (older, or the
/// next).
/// </summary>
public sealed class PepperRing
{
    private readonly Pepper[] _all;

    public PepperRing(Pepper current, params IEnumerable<Pepper> retired)
    {
        Current = current;
        _all = [current, .. retired.Where(pepper => pepper.Id != current.Id).DistinctBy(pepper => pepper.Id)];
    }

    public Pepper Current { get; }

    public IReadOnlyList<Pepper> All => _all;

    public Pepper? Find(string id)
    {
        foreach (var pepper in _all)
        {
            if (pepper.Id == id)
                return pepper;
        }

        return null;
    }

    /// <summary>What to store of a token just made.</summary>
    public HashedToken Seal(Token token) => new(Current.Id, DigestOf(token));

    /// <summary>
    /// Does for a token whose key does not exist what <see cref="Keys.ApiKey.Verify"/> does for one whose secret is
    /// wrong, so that both cost the same.
    /// </summary>
    public void MatchNothing(Token token) => Digest.FixedTimeEquals(DigestOf(token), default);

    private Digest DigestOf(Token token)
    {
        Span<byte> hash = stackalloc byte[Digest.Size];
        token.Hash(hash);
        return Current.Digest(hash);
    }
}

/// <summary>
/// A digest and the id of the pepper it was made with: what a key stores of a secret. No record: its equality would be
/// a second comparison of digests.
/// </summary>
public readonly struct HashedToken(string pepperId, Digest digest)
{
    public string PepperId { get; } = pepperId;

    public Digest Digest { get; } = digest;
}
