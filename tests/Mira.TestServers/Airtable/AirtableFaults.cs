namespace Mira.TestServers.Airtable;

/// <summary>What goes wrong with a call. «After» means that it was carried out first.</summary>
public enum AirtableFault
{
    None,

    /// <summary>500, nothing done.</summary>
    Error,
    ErrorAfter,

    /// <summary>503, nothing done.</summary>
    Unavailable,
    UnavailableAfter,

    /// <summary>429, and everything is refused for the time of a lock-out.</summary>
    TooMany,

    /// <summary>429 for the rest of the month.</summary>
    MonthIsUsedUp,

    /// <summary>No answer; the connection is dropped in the end.</summary>
    Silence,
    SilenceAfter,

    /// <summary>Carried out and answered, late.</summary>
    Slow,

    /// <summary>The connection is cut at once, nothing done.</summary>
    Reset,
    ResetAfter,

    /// <summary>Done, and the answer ends in the middle of its JSON.</summary>
    TruncatedAfter,

    /// <summary>Done, and the answer is longer than anybody should read.</summary>
    HugeAfter,

    /// <summary>Done, and 200 with a page for people.</summary>
    HtmlAfter,

    /// <summary>502 with a page for people, nothing done.</summary>
    BadGateway,

    /// <summary>307 to another host, nothing done.</summary>
    Redirect,
}

/// <summary>Which calls go wrong: those planned, and beside them a share drawn at random from a seed.</summary>
public sealed class AirtableFaults
{
    private readonly Lock _lock = new();
    private readonly List<Plan> _plans = [];
    private Random _random = new(0);
    private double _share;
    private AirtableFault[] _choices = [];

    /// <summary>Sent as <c>Retry-After</c> with 429 and 503; null for none.</summary>
    public TimeSpan? RetryAfter { get; set; }

    /// <summary>Where redirects lead.</summary>
    public Uri Elsewhere { get; set; } = new("http://127.0.0.1:9/");

    /// <summary>The next calls go wrong.</summary>
    /// <param name="match">Which ones; null for all.</param>
    public void Next(AirtableFault fault, int times = 1, Func<AirtableArrival, bool>? match = null)
    {
        lock (_lock)
            _plans.Add(new Plan(fault, match ?? (_ => true)) { Left = times });
    }

    /// <summary>Every call goes wrong, until cleared.</summary>
    public void Always(AirtableFault fault, Func<AirtableArrival, bool>? match = null) => Next(fault, int.MaxValue, match);

    /// <summary>A share of the calls goes wrong in one of these ways; the same seed gives the same draws.</summary>
    public void Share(double share, int seed, params AirtableFault[] faults)
    {
        lock (_lock)
            (_share, _random, _choices) = (share, new Random(seed), faults);
    }

    public void Clear()
    {
        lock (_lock)
        {
            _plans.Clear();
            _share = 0;
        }
    }

    internal AirtableFault Draw(AirtableArrival arrival)
    {
        lock (_lock)
        {
            if (_plans.Find(plan => plan.Left > 0 && plan.Match(arrival)) is { } planned)
            {
                planned.Left--;
                return planned.Fault;
            }

            return _share > 0 && _random.NextDouble() < _share ? _choices[_random.Next(_choices.Length)] : AirtableFault.None;
        }
    }

    private sealed class Plan(AirtableFault fault, Func<AirtableArrival, bool> match)
    {
        public AirtableFault Fault { get; } = fault;

        public Func<AirtableArrival, bool> Match { get; } = match;

        public int Left { get; set; }
    }
}
