using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Ledger;

/// <summary>
/// Events about calls, aggregated by what makes them alike and written seldom, with a count: however often something
/// happens, it can neither fill the disk nor slow the service. To note one more of a group takes a short lock and makes
/// nothing.
/// </summary>
public sealed class AggregatedEvents(TimeProvider clock)
{
    /// <summary>
    /// How many groups of one type are kept apart between two writes; what comes on top is counted together.
    /// </summary>
    public const int MaximumGroups = 100;

    /// <summary>
    /// For how many keys the first group of a type is kept apart for certain, however many others there are.
    /// </summary>
    public const int MaximumKeys = 1_000;

    /// <summary>
    /// How many strangers of one type become groups of their own with each write, once a hundred at once have.
    /// Addresses that come once cost nothing but a count, so that no number of them fills the disk.
    /// </summary>
    public const int StrangersEachTime = 5;

    private readonly Lock _lock = new();
    private readonly HashSet<(string Type, string Key)> _named = [];
    private readonly Dictionary<string, int> _groupsOfType = [];
    private readonly Dictionary<string, int> _roomForStrangers = [];
    private Dictionary<EventGroup, AggregatedEvent> _groups = [];

    /// <summary>Groups that wait to be written.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock)
                return _groups.Count;
        }
    }

    /// <param name="actor">Asked for the first of a group only.</param>
    public void Note<T>(EventGroup group, T state, Func<T, Actor> actor)
    {
        var now = clock.GetUtcNow();
        lock (_lock)
        {
            ref var gathered = ref Find(ref group);
            gathered = gathered.Count == 0
                ? new AggregatedEvent(group, group.IsOverflow ? EventGroup.Anyone : actor(state), 1, now, now)
                : gathered.Add(1, now, now);
        }
    }

    /// <summary>Takes all that was aggregated since the last time.</summary>
    public IReadOnlyCollection<AggregatedEvent> Take()
    {
        lock (_lock)
        {
            var taken = _groups.Values;
            _groups = [];
            _groupsOfType.Clear();
            _named.Clear();
            foreach (var (type, room) in _roomForStrangers)
                _roomForStrangers[type] = Math.Min(MaximumGroups, room + StrangersEachTime);
            return taken;
        }
    }

    /// <summary>Gives back what could not be written, for the next time; it counts with what has come since.</summary>
    public void Return(IReadOnlyCollection<AggregatedEvent> taken)
    {
        lock (_lock)
        {
            foreach (var back in taken)
            {
                var group = back.Group;
                if (group.IsStranger && _roomForStrangers.TryGetValue(group.Type, out var room))
                    _roomForStrangers[group.Type] = Math.Min(MaximumGroups, room + 1);
                ref var gathered = ref Find(ref group);
                gathered = gathered.Count == 0
                    ? back with { Group = group, Actor = group.IsOverflow ? EventGroup.Anyone : back.Actor }
                    : gathered.Add(back.Count, back.FirstAt, back.LastAt);
            }
        }
    }

    private ref AggregatedEvent Find(ref EventGroup group)
    {
        ref var known = ref CollectionsMarshal.GetValueRefOrNullRef(_groups, group);
        if (!Unsafe.IsNullRef(ref known))
            return ref known;

        if (!(group.IsStranger ? HasRoomForStranger(group.Type) : IsFirstOfKey(group) || HasRoom(group.Type)))
            group = group.ToOverflow();
        return ref CollectionsMarshal.GetValueRefOrAddDefault(_groups, group, out _)!;
    }

    // What others do must not hide what happened to a key.
    private bool IsFirstOfKey(EventGroup group) =>
        (group.Subject ?? group.Key?.Value) is { } key && _named.Count < MaximumKeys && _named.Add((group.Type, key));

    private bool HasRoom(string type) => CollectionsMarshal.GetValueRefOrAddDefault(_groupsOfType, type, out _)++ < MaximumGroups;

    // Apart from those of known keys, which strangers must not be able to crowd out.
    private bool HasRoomForStranger(string type)
    {
        ref var room = ref CollectionsMarshal.GetValueRefOrAddDefault(_roomForStrangers, type, out var isKnown);
        if (!isKnown)
            room = MaximumGroups;
        if (room == 0)
            return false;

        room--;
        return true;
    }
}

/// <summary>
/// What makes events alike: type, reason and outcome, whom they concern, and the key or address they came from.
/// </summary>
public readonly record struct EventGroup(string Type, string? Reason)
{
    private const string Overflow = "others";

    /// <summary>The id of the key concerned, when that key exists.</summary>
    public string? Subject { get; init; }

    /// <summary>The key that called.</summary>
    public KeyId? Key { get; init; }

    /// <summary>From where, when no key is known to have called.</summary>
    public IPAddress? Address { get; init; }

    public string Outcome { get; init; } = "failure";

    internal static Actor Anyone { get; } = new(null, null, null, null, null);

    internal bool IsOverflow => Reason == Overflow;

    /// <summary>Anybody can make as many of these as he has addresses.</summary>
    internal bool IsStranger => Key is null && Subject is null && Address is not null;

    internal EventGroup ToOverflow() => new(Type, Overflow) { Outcome = Outcome };
}

/// <summary>One group: how often, and when first and last.</summary>
/// <param name="Actor">Of the first.</param>
public readonly record struct AggregatedEvent(EventGroup Group, Actor Actor, long Count, DateTimeOffset FirstAt, DateTimeOffset LastAt)
{
    public PendingEvent ToDraft() => new(Group.Type, Actor, Group.Subject, null)
    {
        Outcome = Group.Outcome,
        Reason = Group.Reason,
        Aggregation = new Aggregation(Count, FirstAt, LastAt),
    };

    internal AggregatedEvent Add(long count, DateTimeOffset firstAt, DateTimeOffset lastAt) => this with
    {
        Count = Count + count,
        FirstAt = firstAt < FirstAt ? firstAt : FirstAt,
        LastAt = lastAt > LastAt ? lastAt : LastAt,
    };
}
