using Mira.Domain.Keys;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>
/// Keys that lived at random, the same for the same seed, and moments at which something happens to them.
/// </summary>
internal sealed class RandomLives(int seed)
{
    private static readonly int[] Graces = [0, 1, 60, 1_440, 43_200];

    private readonly Random _random = new(seed);

    public ApiKey[] Make(int count) => [.. Enumerable.Range(0, count).Select(_ => Live())];

    /// <summary>Ends, the tick before and after some of them, and moments between.</summary>
    public IEnumerable<DateTimeOffset> Moments(IReadOnlyList<ApiKey> keys, int count)
    {
        var ends = keys.SelectMany(key => key.Secrets).Select(secret => secret.Deadline).OfType<DateTimeOffset>().ToArray();
        return Enumerable.Range(0, count).Select(_ => ends[_random.Next(ends.Length)].AddTicks(_random.Next(4) switch
        {
            0 => 0,
            1 => -1,
            2 => 1,
            _ => _random.NextInt64(-TimeSpan.TicksPerDay * 5, TimeSpan.TicksPerDay * 5),
        }));
    }

    private ApiKey Live()
    {
        var now = HeldKey.Start;
        int? days = _random.Next(4) == 0 ? null : _random.Next(1, 60);
        var role = _random.Next(2) == 0 ? Role.Admin : Role.Viewer;
        var key = new HeldKey(new KeyTerms { Name = "life", Role = role, LifetimeDays = days }, now).Key;
        for (var i = _random.Next(6); i > 0; i--)
        {
            now = now.AddMilliseconds(_random.Next(1, 3 * 86_400_000));
            try
            {
                Act(key, now);
            }
            catch (Exception refused) when (refused is KeyNotActiveException or TooManyLiveSecretsException)
            {
                // A life that goes on without it.
            }
        }

        return key;
    }

    private void Act(ApiKey key, DateTimeOffset now)
    {
        switch (_random.Next(8))
        {
            case 0:
                key.Revoke("me", null, 1, now);
                break;
            case 1:
            case 2:
                key.Update(new KeyUpdate { Disabled = _random.Next(3) > 0 }, 1, now);
                break;
            default:
                key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromMinutes(Graces[_random.Next(Graces.Length)])), now);
                break;
        }
    }
}
