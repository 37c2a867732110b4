using System.Runtime.CompilerServices;

namespace Mira.Application.Tests.Protocols;

/// <summary>Counts by age in ticks of the last window.</summary>
internal readonly record struct Ages(int Bits)
{
    public const int Width = 3 * RateLimitWorld.Window;

    public int Total => Within(0);

    /// <summary>The age of the newest one.</summary>
    public int Youngest => int.TrailingZeroCount(Bits) / 3;

    public Ages Plus(int count) => new(Bits + count);

    public Ages Plus(Ages others) => new(Bits + others.Bits);

    public Ages Older() => new((Bits << 3) & ((1 << Width) - 1));

    /// <summary>How many of them are still in the window after so many ticks.</summary>
    public int Within(int ticks)
    {
        var sum = 0;
        for (var age = 0; age + ticks < RateLimitWorld.Window; age++)
            sum += (Bits >> (3 * age)) & 7;
        return sum;
    }
}

/// <summary>A lease that a node holds.</summary>
/// <param name="Left">Ticks in which it may be spent.</param>
/// <param name="Bucket">The age of the bucket that counts the tokens; <see cref="RateLimitWorld.NoBucket"/> when it
/// is not known any more.</param>
internal readonly record struct HeldLease(int Tokens, int Left, int Bucket)
{
    public int Spendable => Left > 0 ? Tokens : 0;

    public override string ToString() => $"{Tokens} of bucket {Bucket} for {Left}";

    public HeldLease Older() => Tokens == 0
        ? default
        : this with { Left = Math.Max(Left - 1, 0), Bucket = RateLimitWorld.OlderBucket(Bucket) };
}

/// <summary>Where the request of a node is.</summary>
internal enum Trip
{
    None,
    Sent,
    Answered,
}

/// <summary>One node: its leases, its request, and what it admitted.</summary>
internal record struct LimitNode
{
    public HeldLease Current;
    public HeldLease Next;
    public int Unused;
    public int UnusedBucket;

    public Trip Trip;
    public int Wanted;
    public int Life;

    /// <summary>The ticks that are left to the lease that is asked for.</summary>
    public int Left;

    /// <summary>Tokens that the request returns, and later those that it was granted.</summary>
    public int Carried;
    public int CarriedBucket;
    public Ages CarriedDebt;
    public int CarriedFor;

    public Ages Spent;
    public Ages Alone;
    public Ages Owed;

    public readonly int Admitted => Spent.Total + Alone.Total;

    public static LimitNode Unpack(ref BitReader reader) => new()
    {
        Current = new HeldLease(reader.Take(3), reader.Take(2), reader.Take(3)),
        Next = new HeldLease(reader.Take(3), reader.Take(2), reader.Take(3)),
        Unused = reader.Take(3),
        UnusedBucket = reader.Take(3),
        Trip = (Trip)reader.Take(2),
        Wanted = reader.Take(2),
        Life = 1 + reader.Take(1),
        Left = reader.Take(2),
        Carried = reader.Take(3),
        CarriedBucket = reader.Take(3),
        CarriedDebt = new Ages(reader.Take(Ages.Width)),
        CarriedFor = reader.Take(2),
        Spent = new Ages(reader.Take(Ages.Width)),
        Alone = new Ages(reader.Take(Ages.Width)),
        Owed = new Ages(reader.Take(Ages.Width)),
    };

    public readonly UInt128 Pack()
    {
        var writer = new BitWriter();
        Put(ref writer, Current);
        Put(ref writer, Next);
        writer.Put(Unused, 3);
        writer.Put(UnusedBucket, 3);
        writer.Put((int)Trip, 2);
        writer.Put(Wanted, 2);
        writer.Put(Math.Max(Life - 1, 0), 1);
        writer.Put(Left, 2);
        writer.Put(Carried, 3);
        writer.Put(CarriedBucket, 3);
        writer.Put(CarriedDebt.Bits, Ages.Width);
        writer.Put(CarriedFor, 2);
        writer.Put(Spent.Bits, Ages.Width);
        writer.Put(Alone.Bits, Ages.Width);
        writer.Put(Owed.Bits, Ages.Width);
        return writer.State.Low;
    }

    public void PassTick()
    {
        (Current, Next) = (Current.Older(), Next.Older());
        (Unused, UnusedBucket) = Older(Unused, UnusedBucket);
        Left = Math.Max(Left - 1, 0);
        (Carried, CarriedBucket) = Older(Carried, CarriedBucket);
        (CarriedDebt, Spent, Alone, Owed) = (CarriedDebt.Older(), Spent.Older(), Alone.Older(), Owed.Older());
    }

    public override readonly string ToString() =>
        $"[{Current}, {Next}, unused {Unused} of bucket {UnusedBucket}, "
        + $"{Trip} {Wanted} with {Carried} of bucket {CarriedBucket} for {Left}, "
        + $"spent {Spent.Total}, alone {Alone.Total}, owed {Owed.Total}]";

    // A bucket that is not counted any more takes nothing back.
    private static (int Tokens, int Bucket) Older(int tokens, int bucket) =>
        tokens == 0 || RateLimitWorld.OlderBucket(bucket) == RateLimitWorld.NoBucket
            ? (0, 0)
            : (tokens, RateLimitWorld.OlderBucket(bucket));

    private static void Put(ref BitWriter writer, HeldLease lease)
    {
        writer.Put(lease.Tokens, 3);
        writer.Put(lease.Left, 2);
        writer.Put(lease.Bucket, 3);
    }
}

/// <summary>Three nodes, copied with the state they are in.</summary>
[InlineArray(RateLimitWorld.NodeCount)]
internal struct LimitNodes
{
    private LimitNode _first;
}

/// <summary>
/// The state of the model: the shared window of one key, and the nodes. Times are ages in ticks, so that no state has
/// a date.
/// </summary>
internal struct RateLimitWorld
{
    public const int NodeCount = 3;

    /// <summary>The 60 seconds.</summary>
    public const int Window = 3;

    public const int LongestLife = 2;

    /// <summary>A bucket is counted for so many ticks at most.</summary>
    public const int BucketCount = Window + LongestLife - 1;

    public const int NoBucket = 7;

    private const int NodeBits = 16 + 6 + 7 + 6 + 2 + (4 * Ages.Width);
    private const int Part = 25;

    public int Requests;
    public LimitNodes Nodes;
    public bool HasReturnedTooMuch;
    private int _counts;
    private int _left;
    private int _debts;

    /// <summary>All that is counted in the window.</summary>
    public readonly int Total => Counted(0) + Debts(0);

    public static RateLimitWorld Unpack(ModelState state)
    {
        var reader = new BitReader(state);
        var world = new RateLimitWorld
        {
            Requests = reader.Take(3),
            HasReturnedTooMuch = reader.Take(),
            _counts = reader.Take(3 * BucketCount),
            _left = reader.Take(3 * BucketCount),
            _debts = reader.Take(3 * Window),
        };
        for (var node = 0; node < NodeCount; node++)
            world.Nodes[node] = LimitNode.Unpack(ref reader);
        return world;
    }

    /// <summary>Packs the nodes in one order: two states that differ by the names of nodes are one.</summary>
    public readonly ModelState Pack()
    {
        var writer = new BitWriter();
        writer.Put(Requests, 3);
        writer.Put(HasReturnedTooMuch);
        writer.Put(_counts, 3 * BucketCount);
        writer.Put(_left, 3 * BucketCount);
        writer.Put(_debts, 3 * Window);
        Span<UInt128> nodes = [Nodes[0].Pack(), Nodes[1].Pack(), Nodes[2].Pack()];
        nodes.Sort();
        foreach (var node in nodes)
        {
            for (var bit = 0; bit < NodeBits; bit += Part)
            {
                var width = Math.Min(Part, NodeBits - bit);
                writer.Put((int)(uint)((node >> bit) & (uint)((1 << width) - 1)), width);
            }
        }

        return writer.State;
    }

    /// <summary>What the buckets of granted tokens count that long from now, if nothing happens.</summary>
    public readonly int Counted(int ticks)
    {
        var sum = 0;
        for (var age = 0; age < BucketCount; age++)
            sum += At(_left, age) > ticks ? At(_counts, age) : 0;
        return sum;
    }

    /// <summary>The same for calls that nodes admitted by themselves.</summary>
    public readonly int Debts(int ticks)
    {
        var sum = 0;
        for (var left = ticks + 1; left <= Window; left++)
            sum += At(_debts, left - 1);
        return sum;
    }

    public void Return(int tokens, int bucket)
    {
        if (tokens == 0 || bucket >= BucketCount || At(_left, bucket) == 0)
            return;

        HasReturnedTooMuch |= At(_counts, bucket) < tokens;
        _counts -= Math.Min(tokens, At(_counts, bucket)) << (3 * bucket);
    }

    public void Charge(int calls, int left)
    {
        if (calls > 0 && left > 0)
            _debts += Math.Min(calls, 7 - At(_debts, left - 1)) << (3 * (left - 1));
    }

    /// <summary>Takes tokens in the bucket of this tick.</summary>
    public void Grant(int tokens, int left)
    {
        if (tokens == 0)
            return;

        _counts += tokens;
        _left = (_left & ~7) | Math.Max(At(_left, 0), left);
    }

    public void PassTick()
    {
        var (counts, left) = (0, 0);
        for (var age = 0; age + 1 < BucketCount; age++)
        {
            if (At(_left, age) <= 1 || At(_counts, age) == 0)
                continue;

            counts |= At(_counts, age) << (3 * (age + 1));
            left |= (At(_left, age) - 1) << (3 * (age + 1));
        }

        (_counts, _left, _debts) = (counts, left, _debts >> 3);
        for (var node = 0; node < NodeCount; node++)
            Nodes[node].PassTick();
    }

    public static int OlderBucket(int bucket) => bucket + 1 < BucketCount ? bucket + 1 : NoBucket;

    public override readonly string ToString()
    {
        var (counts, left) = (_counts, _left);
        var buckets = Enumerable.Range(0, BucketCount).Select(age => $"{At(counts, age)}/{At(left, age)}");
        return $"   buckets {string.Join(' ', buckets)}, debts {Debts(0)}, requests {Requests}\n"
            + $"      {Nodes[0]}\n      {Nodes[1]}\n      {Nodes[2]}";
    }

    private static int At(int counts, int index) => (counts >> (3 * index)) & 7;
}
