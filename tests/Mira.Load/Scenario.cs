namespace Mira.Load;

/// <summary>A kind of load.</summary>
/// <param name="Summary">One sentence for the results page and the help.</param>
/// <param name="Keys">How many keys call in turn.</param>
/// <param name="WrongShare">The share of requests with a token that is refused, 0 to 1.</param>
/// <param name="IsSoak">True when the last part of the run is held against the first.</param>
public sealed record Scenario(
    string Name, string Summary, IReadOnlyList<Phase> Phases, int Keys, double WrongShare = 0, bool IsSoak = false)
{
    public static IReadOnlyList<Scenario> All { get; } =
    [
        new("steady", "The rate that was claimed for an instance, 1250 requests a second, for half a minute.",
            [Phase.Steady(30, 1250)], Keys: 100),
        new(
            "spike", "A quiet service that is suddenly asked ten times as much, and then is quiet again.",
            [Phase.Steady(10, 300), new(TimeSpan.FromSeconds(1), 300, 3000), Phase.Steady(8, 3000),
                new(TimeSpan.FromSeconds(1), 3000, 300), Phase.Steady(10, 300)], Keys: 100),
        new("soak", "A moderate rate for half an hour: memory, handles, threads and latency stay as they were.",
            [Phase.Steady(1800, 300)], Keys: 100, IsSoak: true),
        new("many-keys", "Each request comes with another of 2000 keys.", [Phase.Steady(30, 1000)], Keys: 2000),
        new("wrong-key-storm",
            "Four of five requests come with a wrong key: the good ones are served as if the others were not there.",
            [Phase.Steady(30, 1250)], Keys: 20, WrongShare: 0.8),
    ];

    public TimeSpan Length => Arrivals.LengthOf(Phases);

    public static Scenario? Find(string name) => All.FirstOrDefault(scenario => scenario.Name == name);

    /// <summary>
    /// True when the request of this number carries a wrong token. Wrong and good ones alternate evenly.
    /// </summary>
    public bool IsWrong(int number) => Math.Floor((number + 1) * WrongShare) > Math.Floor(number * WrongShare);
}
