namespace Mira.Application.Tests.Protocols;

/// <summary>
/// Faults that are planted into the rule of token leases. Each one violates an invariant, or the check is blind.
/// </summary>
internal enum RateLimitFault
{
    None,

    /// <summary>Tokens are spent after the end of their lease.</summary>
    LeaseHasNoEnd,

    /// <summary>The life of a lease begins when its response comes.</summary>
    LifeFromResponse,

    /// <summary>A token is counted for 60 s from the grant, as if it were spent at once.</summary>
    LifeNotCounted,

    /// <summary>Tokens of two buckets in one lease are all returned to one of them.</summary>
    BucketsMixed,

    /// <summary>Tokens that were returned are not forgotten, and returned once more.</summary>
    ReturnedTwice,

    /// <summary>A node that decides alone does not ask its own window.</summary>
    OwnWindowIgnored,

    /// <summary>Calls that were admitted alone are forgotten when the response to their settlement is lost.</summary>
    DebtForgotten,
}

/// <summary>What the check looks at. All at once is more than a machine holds.</summary>
/// <param name="Limit">Calls in a window.</param>
/// <param name="Requests">The most requests to the shared window.</param>
/// <param name="LargestCost">A call takes at most so many tokens at once.</param>
/// <param name="Wanted">A request asks for at most so many tokens.</param>
/// <param name="DecidesAlone">Whether nodes admit calls by themselves when a response is lost.</param>
internal sealed record RateLimitBounds(int Limit, int Requests, int LargestCost, int Wanted, bool DecidesAlone = false);

/// <summary>
/// The token leases of docs/protocols/rate-limit.md: three nodes and the shared window of one key. Keys share
/// nothing, so another key would only multiply the states. A node asks whenever it likes, for as many tokens and as
/// long as it likes: how KeyWindow chooses is one case of that.
/// </summary>
/// <param name="only">The one invariant to check; 0 for all.</param>
internal sealed class RateLimitModel(
    RateLimitBounds bounds, RateLimitFault fault = RateLimitFault.None, int only = 0) : Model
{
    public override ModelState First => default(RateLimitWorld).Pack();

    public override int FindViolation(ModelState state)
    {
        var world = RateLimitWorld.Unpack(state);
        for (var invariant = 1; invariant <= 5; invariant++)
        {
            if ((only == 0 || only == invariant) && !Holds(world, invariant))
                return invariant;
        }

        return 0;
    }

    public override void AddSteps(ModelState state, List<Step> steps)
    {
        var world = RateLimitWorld.Unpack(state);
        var passed = world;
        passed.PassTick();
        steps.Add(new Step("time passes", 0, passed.Pack()));
        for (var node = 0; node < RateLimitWorld.NodeCount; node++)
        {
            AddCalls(world, node, steps);
            if (world.Nodes[node].Trip == Trip.None && world.Requests < bounds.Requests)
                AddRequests(world, node, steps);
            else if (world.Nodes[node].Trip == Trip.Sent)
                Add(steps, "the shared window grants", node, Granted(world, node));
            else if (world.Nodes[node].Trip == Trip.Answered)
                Add(steps, "takes in the grant", node, TakenIn(world, node));
            if (world.Nodes[node].Trip != Trip.None)
                Add(steps, "the request or its response is lost", node, Lost(world, node));
        }
    }

    public override string Describe(ModelState state) => RateLimitWorld.Unpack(state).ToString();

    private bool Holds(RateLimitWorld world, int invariant)
    {
        var (spent, owing) = (0, 0);
        for (var ticks = 0; ticks < RateLimitWorld.BucketCount; ticks++)
        {
            var (calls, held, alone, owed) = (0, 0, 0, 0);
            for (var index = 0; index < RateLimitWorld.NodeCount; index++)
            {
                var node = world.Nodes[index];
                calls += node.Spent.Within(ticks);
                held += Held(node, ticks);
                alone += node.Alone.Within(ticks);
                owed += node.Owed.Within(ticks) + (node.Trip == Trip.Sent ? node.CarriedDebt.Within(ticks) : 0);
                if (invariant == 3 && ticks == 0 && node.Admitted > bounds.Limit)
                    return false;
            }

            if (invariant == 1 && ticks == 0 && calls > bounds.Limit)
                return false;
            spent = Math.Max(spent, calls + held - world.Counted(ticks));
            owing = Math.Max(owing, alone - owed - world.Debts(ticks));
        }

        return invariant switch
        {
            2 => spent <= 0,
            4 => !world.HasReturnedTooMuch,
            5 => owing <= 0,
            _ => true,
        };
    }

    // What may still be spent counts from its last moment, which is when the lease ends.
    private static int Held(LimitNode node, int ticks)
    {
        var held = StillIn(node.Current.Left) ? node.Current.Tokens : 0;
        held += StillIn(node.Next.Left) ? node.Next.Tokens : 0;
        return held + (node.Trip == Trip.Answered && StillIn(node.Left) ? node.Carried : 0);

        bool StillIn(int left) => left > 0 && ticks <= left - 1 + RateLimitWorld.Window - 1;
    }

    // RateLimiter: the node's own window first, then its leases, else alone.
    private void AddCalls(RateLimitWorld world, int node, List<Step> steps)
    {
        for (var cost = 1; cost <= bounds.LargestCost; cost++)
        {
            var hasRoom = world.Nodes[node].Admitted + cost <= bounds.Limit;
            var spent = world;
            EndOld(ref spent.Nodes[node]);
            if (hasRoom && spent.Nodes[node].Current.Tokens + spent.Nodes[node].Next.Tokens >= cost)
            {
                Spend(ref spent.Nodes[node], cost);
                Add(steps, "admits a call from its leases", node, spent);
            }

            var mayDecide = bounds.DecidesAlone && (hasRoom || fault == RateLimitFault.OwnWindowIgnored);
            if (!mayDecide || world.Nodes[node].Alone.Total + cost > bounds.Limit + 1)
                continue;

            var alone = world;
            alone.Nodes[node].Alone = alone.Nodes[node].Alone.Plus(cost);
            alone.Nodes[node].Owed = alone.Nodes[node].Owed.Plus(cost);
            Add(steps, "admits a call alone", node, alone);
        }
    }

    private static void Spend(ref LimitNode node, int cost)
    {
        var first = Math.Min(cost, node.Current.Tokens);
        node.Current = Kept(node.Current, first);
        node.Next = Kept(node.Next, cost - first);
        node.Spent = node.Spent.Plus(cost);

        static HeldLease Kept(HeldLease lease, int spent) =>
            lease.Tokens == spent ? default : lease with { Tokens = lease.Tokens - spent };
    }

    // KeyWindow.Settle and SharedTokens.FetchAsync.
    private void AddRequests(RateLimitWorld world, int node, List<Step> steps)
    {
        for (var wanted = bounds.DecidesAlone ? 0 : 1; wanted <= bounds.Wanted; wanted++)
        {
            for (var life = 1; life <= (wanted == 0 ? 1 : RateLimitWorld.LongestLife); life++)
            {
                var asking = world;
                asking.Requests++;
                ref var asker = ref asking.Nodes[node];
                (asker.Trip, asker.Wanted, asker.Life, asker.Left) = (Trip.Sent, wanted, life, life);
                (asker.Carried, asker.CarriedBucket) = (asker.Unused, asker.UnusedBucket);
                if (fault != RateLimitFault.ReturnedTwice)
                    (asker.Unused, asker.UnusedBucket) = (0, 0);
                (asker.CarriedDebt, asker.Owed) = (asker.Owed, default);
                if (asker.CarriedDebt.Total > 0)
                    asker.CarriedFor = RateLimitWorld.Window - asker.CarriedDebt.Youngest;
                Add(steps, "asks for tokens", node, asking);
            }
        }
    }

    // RedisLimits.Script.
    private RateLimitWorld Granted(RateLimitWorld world, int node)
    {
        ref var asker = ref world.Nodes[node];
        world.Return(asker.Carried, asker.CarriedBucket);
        world.Charge(asker.CarriedDebt.Total, asker.CarriedFor);
        var tokens = Math.Clamp(bounds.Limit - world.Total, 0, asker.Wanted);
        var life = fault == RateLimitFault.LifeNotCounted ? 1 : asker.Life;
        world.Grant(tokens, RateLimitWorld.Window + life - 1);
        (asker.Trip, asker.Carried, asker.CarriedBucket) = (Trip.Answered, tokens, 0);
        return world;
    }

    private RateLimitWorld TakenIn(RateLimitWorld world, int node)
    {
        ref var taker = ref world.Nodes[node];
        var left = fault == RateLimitFault.LifeFromResponse ? taker.Life : taker.Left;
        AddLease(ref taker, new HeldLease(taker.Carried, left, taker.CarriedBucket));
        End(ref taker);
        return world;
    }

    // The node never hears of it. Tokens that were granted stay counted and are not used; what it owes it
    // owes still, although it may be counted already.
    private RateLimitWorld Lost(RateLimitWorld world, int node)
    {
        ref var loser = ref world.Nodes[node];
        if (fault != RateLimitFault.DebtForgotten)
            loser.Owed = loser.Owed.Plus(loser.CarriedDebt);
        End(ref loser);
        return world;
    }

    private static void End(ref LimitNode node) =>
        node = node with
        {
            Trip = Trip.None,
            Wanted = 0,
            Life = 0,
            Left = 0,
            Carried = 0,
            CarriedBucket = 0,
            CarriedDebt = default,
            CarriedFor = 0,
        };

    // Leases.EndOld.
    private void EndOld(ref LimitNode node)
    {
        if (fault == RateLimitFault.LeaseHasNoEnd)
        {
            (node.Current, node.Next) = node.Current.Tokens == 0 ? (node.Next, default) : (node.Current, node.Next);
            return;
        }

        if (node.Current.Spendable == 0)
        {
            Waste(ref node, node.Current);
            (node.Current, node.Next) = (node.Next, default);
        }

        if (node.Current.Spendable == 0)
        {
            Waste(ref node, node.Current);
            node.Current = default;
        }

        if (node.Next.Spendable > 0)
            return;

        Waste(ref node, node.Next);
        node.Next = default;
    }

    // Leases.Add.
    private void AddLease(ref LimitNode node, HeldLease lease)
    {
        EndOld(ref node);
        if (lease.Spendable == 0)
            Waste(ref node, lease);
        else if (node.Current.Tokens == 0)
            node.Current = lease;
        else if (node.Next.Tokens == 0)
            node.Next = lease;
        else
            node.Next = Join(node.Next, lease);
    }

    private HeldLease Join(HeldLease one, HeldLease other)
    {
        var isOneBucket = one.Bucket == other.Bucket || fault == RateLimitFault.BucketsMixed;
        var bucket = isOneBucket ? other.Bucket : RateLimitWorld.NoBucket;
        return new HeldLease(one.Tokens + other.Tokens, Math.Min(one.Left, other.Left), bucket);
    }

    private static void Waste(ref LimitNode node, HeldLease lease)
    {
        if (lease.Tokens == 0 || lease.Bucket == RateLimitWorld.NoBucket)
            return;

        node.Unused = lease.Tokens + (node.UnusedBucket == lease.Bucket ? node.Unused : 0);
        node.UnusedBucket = lease.Bucket;
    }

    private static void Add(List<Step> steps, string action, int node, RateLimitWorld world) =>
        steps.Add(new Step(action, node + 1, world.Pack()));
}
