namespace Mira.Application.Tests.Protocols;

/// <summary>
/// Faults that are planted into the rule of the key cache. Each one violates an invariant, or the check is blind.
/// </summary>
internal enum KeyCacheFault
{
    None,

    /// <summary>A read is kept without asking whether it may be trusted.</summary>
    AsOfIgnored,

    /// <summary>A change is forgotten, and the floor stays where it was.</summary>
    FloorNotRaised,

    /// <summary>
    /// A node's own change that does not follow what it has seen drops the entry and is not remembered.
    /// </summary>
    OwnChangeNotRemembered,

    /// <summary>A node's own change moves its position past the changes of others.</summary>
    OthersSkipped,

    /// <summary>A node starts without the last changes of the ledger.</summary>
    StartsWithoutChanges,

    /// <summary>A read that began before the cache was emptied is kept after it.</summary>
    ReadOutlivesClear,

    /// <summary>An entry of the shared cache is believed by its seq alone.</summary>
    MarkNotCompared,

    /// <summary>A look counts from when its response came, not from when it was sent.</summary>
    SightedWhenAnswered,

    /// <summary>A look is answered by a standby that is behind.</summary>
    StandbyAnswers,
}

/// <summary>
/// The cache rule of docs/protocols/key-cache.md. Node 1 and key A are watched: nothing that another node holds is
/// read by node 1, so nodes 2 and 3 are all that they can write, which is the ledger and the shared cache. Key B is
/// in the ledger and in what a node remembers.
/// </summary>
/// <param name="events">The most changes of the ledger: commits, restores and records of a restore.</param>
/// <param name="only">The one invariant to check; 0 for all.</param>
internal sealed class KeyCacheModel(int events, KeyCacheFault fault = KeyCacheFault.None, int only = 0) : Model
{
    /// <summary>A node remembers this many changes.</summary>
    public const int Capacity = 2;

    /// <summary>
    /// What the rule does not promise: a node that has followed the restored ledger holds nothing of the lost one.
    /// </summary>
    public const int KnownGap = 5;

    private static readonly string[] Commits = ["a change of key B is committed", "a change of key A is committed"];

    public override ModelState First => new KeyCacheWorld { RestoredTo = KeyCacheWorld.Never, IsClean = true }.Pack();

    public override int FindViolation(ModelState state)
    {
        var world = KeyCacheWorld.Unpack(state);
        if (only == KnownGap)
            return HasGap(world) ? KnownGap : 0;
        for (var invariant = 1; invariant <= 4; invariant++)
        {
            if ((only == 0 || only == invariant) && !Holds(world, invariant))
                return invariant;
        }

        return 0;
    }

    public override void AddSteps(ModelState state, List<Step> steps)
    {
        var world = KeyCacheWorld.Unpack(state);
        AddCommits(world, steps);
        AddReads(world, steps);
        AddLooks(world, steps);
        AddRestores(world, steps);
    }

    public override string Describe(ModelState state) => KeyCacheWorld.Unpack(state).ToString();

    private static bool HasGap(KeyCacheWorld world) =>
        world is { HasCached: true, Cached.IsLost: true, Seen.IsLost: false } && world.Seen.Seq > world.RestoredTo;

    private static bool Holds(KeyCacheWorld world, int invariant) => invariant switch
    {
        1 => !world.HasCached || world.Cached.Seq >= world.Heard,
        2 => world.Heard == 0 || !world.Trusts(world.Heard - 1),
        3 => !(world.HasCached && world.Cached.IsLost && world.IsClean),
        _ => !world.HasMissed,
    };

    private void AddCommits(KeyCacheWorld world, List<Step> steps)
    {
        for (var subject = KeyCacheWorld.KeyB; subject <= KeyCacheWorld.KeyA && world.Events < events; subject++)
        {
            var other = world;
            other.Append(subject);
            Add(steps, Commits[subject], 2, other);
            if (world.HasOwn)
                continue;

            other.HasOwn = true;
            other.Own = new Place(other.Length, IsLost: false);
            other.IsOwnOfA = subject == KeyCacheWorld.KeyA;
            Add(steps, Commits[subject], 1, other);
        }

        if (world.HasOwn)
            Add(steps, "takes in its own change and answers", 1, TakeInOwn(world));
    }

    // LedgerPoller.TryApply.
    private KeyCacheWorld TakeInOwn(KeyCacheWorld world)
    {
        var own = world.Own;
        var subject = world.IsOwnOfA ? KeyCacheWorld.KeyA : KeyCacheWorld.KeyB;
        (world.HasOwn, world.Own, world.IsOwnOfA) = (false, default, false);
        if (own.Seq == world.Seen.Seq + 1)
            Apply(ref world, own, subject);
        else if (own != world.Seen && fault == KeyCacheFault.OwnChangeNotRemembered)
            Drop(ref world, subject, own.Seq, isRemembered: false);
        else if (own != world.Seen)
            Drop(ref world, subject, own.Seq, isRemembered: true);
        if (fault == KeyCacheFault.OthersSkipped && own.Seq > world.Seen.Seq)
            world.See(own);
        return world;
    }

    // KeyCache: a read of the store or of the shared cache, and later the attempt to keep it.
    private void AddReads(KeyCacheWorld world, List<Step> steps)
    {
        if (world.IsReading)
        {
            var kept = world;
            if (fault == KeyCacheFault.AsOfIgnored || world.Trusts(world.Read.Seq))
                (kept.HasCached, kept.Cached) = (true, world.Read);
            // Another caller may wait for the same read and keep it later.
            Add(steps, "keeps what it read, and another waits for the same read", 1, kept);
            (kept.IsReading, kept.Read) = (false, default);
            Add(steps, "keeps what it read", 1, kept);
            return;
        }

        Add(steps, "reads key A in the store", 1, Reading(world, new Place(world.Length, IsLost: false)));
        for (var seq = 0; seq <= Math.Max(world.Length, world.LostLength); seq++)
        {
            var (kept, lost) = (new Place(seq, IsLost: false), new Place(seq, IsLost: true));
            if (world.MayFindShared(kept) && CanBelieve(world, kept))
                Add(steps, "finds key A in the shared cache", 1, Reading(world, kept));
            if (world.MayFindShared(lost) && CanBelieve(world, lost))
                Add(steps, "finds key A of the lost ledger in the shared cache", 1, Reading(world, lost));
        }
    }

    private static KeyCacheWorld Reading(KeyCacheWorld world, Place at)
    {
        (world.IsReading, world.Read) = (true, at);
        return world;
    }

    // SharedKeys and LedgerHashes: the node must have come as far as the entry, and the ledger must hold the entry's
    // event in its place. A node that has not noticed the restore may remember that the lost event was there.
    private bool CanBelieve(KeyCacheWorld world, Place entry)
    {
        if (world.Seen.Seq < entry.Seq)
            return false;
        if (fault == KeyCacheFault.MarkNotCompared)
            return true;
        return world.Seen.Seq == entry.Seq
            ? world.Seen.IsLost == entry.IsLost
            : entry.IsLost ? !world.IsClean : entry.Seq <= world.Length;
    }

    // LedgerPoller.ReadPageAsync: the page is read at one moment and taken in at another.
    private void AddLooks(KeyCacheWorld world, List<Step> steps)
    {
        if (!world.IsLooking)
        {
            var holdsSeen = world.Seen.Seq == 0 || (!world.Seen.IsLost && world.Seen.Seq <= world.Length);
            var first = fault == KeyCacheFault.StandbyAnswers ? Math.Min(world.Seen.Seq, world.Length) : world.Length;
            for (var to = first; to <= world.Length; to++)
            {
                var looking = world;
                (looking.IsLooking, looking.IsMismatch) = (true, !holdsSeen);
                (looking.Page, looking.Promised) = (new Place(to, IsLost: false), world.Length);
                Add(steps, "reads a page of the ledger", 1, looking);
            }

            return;
        }

        var (page, isMismatch, promised) = (world.Page, world.IsMismatch, world.Promised);
        (world.IsLooking, world.IsMismatch, world.Page, world.Promised) = (false, false, default, 0);
        if (isMismatch)
        {
            world.Seen = new Place(world.Length, IsLost: false);
            Forget(ref world, world.Length, KeyCacheWorld.Unrecorded);
        }
        else
        {
            for (var seq = world.Seen.Seq + 1; seq <= page.Seq; seq++)
            {
                var place = new Place(seq, page.IsLost && seq > world.RestoredTo);
                Apply(ref world, place, world.SubjectAt(place));
            }
        }

        // What was committed before the look's time is known now. What a restore took away is not asked for.
        promised = fault == KeyCacheFault.SightedWhenAnswered ? world.Length : Math.Min(promised, world.RestoredTo);
        world.HasMissed = !page.IsLost && !world.Seen.IsLost && world.Seen.Seq < promised;
        Add(steps, isMismatch ? "finds that the ledger was replaced" : "takes in the page", 1, world);
    }

    private void AddRestores(KeyCacheWorld world, List<Step> steps)
    {
        for (var to = 0; to < world.Length && world.RestoredTo == KeyCacheWorld.Never && world.Events < events; to++)
        {
            var restored = world;
            restored.Restore(to);
            Add(steps, "the ledger is restored from a backup", 0, restored);
        }

        if (world.RestoredTo != KeyCacheWorld.Never && world.Events < events && world.EpochStart() == 0)
        {
            var recorded = world;
            recorded.Append(KeyCacheWorld.NewEpoch);
            Add(steps, "the restore is recorded", 2, recorded);
        }

        var started = world with
        {
            HasOwn = false,
            Own = default,
            IsOwnOfA = false,
            IsLooking = false,
            IsMismatch = false,
            Page = default,
            Promised = 0,
            Seen = new Place(world.Length, IsLost: false),
        };
        var floor = fault == KeyCacheFault.StartsWithoutChanges ? 0 : Math.Max(0, world.Length - Capacity);
        started.Forget(floor, world.EpochStart() > 0 ? KeyCacheWorld.Recorded : KeyCacheWorld.Original);
        for (var seq = floor + 1; seq <= world.Length && fault != KeyCacheFault.StartsWithoutChanges; seq++)
        {
            if (world.SubjectAt(new Place(seq, IsLost: false)) != KeyCacheWorld.NewEpoch)
                started.Remember(seq, world.SubjectAt(new Place(seq, IsLost: false)), raisesFloor: true);
        }

        started.See(started.Seen);
        Add(steps, "starts again", 1, started);
    }

    // LedgerPoller.Apply, for one event.
    private void Apply(ref KeyCacheWorld world, Place place, int subject)
    {
        if (!world.Follows(place))
            Forget(ref world, place.Seq, KeyCacheWorld.Unrecorded);
        if (subject == KeyCacheWorld.NewEpoch)
            Forget(ref world, place.Seq, KeyCacheWorld.Recorded);
        else
            Drop(ref world, subject, place.Seq, isRemembered: true);
        world.See(place);
    }

    private void Drop(ref KeyCacheWorld world, int subject, int seq, bool isRemembered)
    {
        if (isRemembered)
            world.Remember(seq, subject, raisesFloor: fault != KeyCacheFault.FloorNotRaised);
        if (subject != KeyCacheWorld.KeyA)
            return;

        (world.HasCached, world.Cached) = (false, default);
        world.Heard = Math.Max(world.Heard, seq);
    }

    private void Forget(ref KeyCacheWorld world, int floor, int epoch)
    {
        var (isReading, read) = (world.IsReading, world.Read);
        world.Forget(floor, epoch);
        if (fault == KeyCacheFault.ReadOutlivesClear)
            (world.IsReading, world.Read) = (isReading, read);
    }

    private static void Add(List<Step> steps, string action, int node, KeyCacheWorld next) =>
        steps.Add(new Step(action, node, next.Pack()));
}
