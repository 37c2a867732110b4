using Microsoft.Extensions.Time.Testing;
using Mira.Application.Limits;

namespace Mira.Application.Tests.Limits;

/// <summary>
/// Nodes that share a window, in every order that chance finds: never more than the limit in any minute.
/// </summary>
internal sealed class ManyNodesTests
{
    private const int Steps = 4_000;

    private static readonly int Repetitions = Rounds.Of(60);

    [SetUp]
    public void BelongToNoContext() => SynchronizationContext.SetSynchronizationContext(null);

    [TestCase(1, 1)]
    [TestCase(3, 1)]
    [TestCase(20, 3)]
    [TestCase(500, 60)]
    [TestCase(1_000, 100)]
    [TestCase(5_000, 400)]
    [TestCase(100_000, 9_000)]
    public void Together_they_never_admit_more_than_the_limit(int limit, int largestCost)
    {
        var fullest = 0;
        var paused = 0;
        for (var seed = 0; seed < Repetitions; seed++)
        {
            using var run = new Run(seed, limit, largestCost, nodes: 1 + (seed % 4));
            run.Steps(Steps);
            run.End();
            Assert.That(run.Fullest, Is.LessThanOrEqualTo(limit), $"seed {seed}");
            fullest = Math.Max(fullest, run.Fullest);
            paused += run.Pauses;
        }

        Assert.That(fullest, Is.GreaterThan(0.9 * limit), "the limit was reached");
        Assert.That(paused, Is.GreaterThan(Repetitions));
    }

    [TestCase(20, 3)]
    [TestCase(5_000, 400)]
    public void While_it_comes_and_goes_each_node_keeps_the_limit_by_itself(int limit, int largestCost)
    {
        for (var seed = 0; seed < Repetitions; seed++)
        {
            using var run = new Run(seed, limit, largestCost, nodes: 1 + (seed % 3)) { IsFaulty = true };
            run.Steps(Steps);
            run.End();
            Assert.That(run.FullestNode, Is.LessThanOrEqualTo(limit), $"seed {seed}");
        }
    }

    private sealed class Run : IDisposable
    {
        private readonly Random _random;
        private readonly int _largestCost;
        private readonly FakeTimeProvider _clock = LimitedKey.Clock();
        private readonly FakeSharedLimits _shared;
        private readonly List<RateLimiter> _limiters = [];
        private readonly List<PausingNode> _nodes = [];
        private readonly List<(TimeSpan Due, TaskCompletionSource Travel)> _travelling = [];
        private readonly List<(TimeSpan At, int Node, int Cost)> _admitted = [];
        private TimeSpan _now;
        private bool _isEnding;

        public Run(int seed, int limit, int largestCost, int nodes)
        {
            _random = new Random(seed);
            _largestCost = largestCost;
            _shared = new FakeSharedLimits(_clock) { Going = TravelAsync, Coming = TravelAsync };
            var key = LimitedKey.Of(limit);
            for (var node = 0; node < nodes; node++)
            {
                _limiters.Add(new RateLimiter(new LimitOptions(), _clock, _shared));
                _nodes.Add(new PausingNode(_limiters[node], key.At(1), _random));
            }
        }

        public bool IsFaulty { get; init; }

        public int Pauses { get; private set; }

        /// <summary>The most that was admitted in any minute, by all nodes and by one of them.</summary>
        public int Fullest => FullestOf(_admitted);

        public int FullestNode => _admitted.GroupBy(call => call.Node).Select(calls => FullestOf([.. calls])).DefaultIfEmpty().Max();

        public void Steps(int count)
        {
            for (var step = 0; step < count; step++)
                Step();
        }

        /// <summary>Lets all that was begun come to its end.</summary>
        public void End()
        {
            _isEnding = true;
            (_shared.IsAvailable, _shared.IsSilent) = (true, false);
            _nodes.ForEach(node => node.IsPaused = false);
            for (var step = 0; step < 200_000 && _nodes.Exists(node => node.Open > 0); step++)
            {
                _nodes.ForEach(node => node.Step());
                if (_nodes.TrueForAll(node => node.IsIdle))
                    Pass(TimeSpan.FromMilliseconds(1));
            }

            Assert.That(_nodes.Sum(node => node.Open), Is.Zero, "every call is answered");
        }

        public void Dispose() => _limiters.ForEach(limiter => limiter.Dispose());

        private void Step()
        {
            var number = _random.Next(_nodes.Count);
            var node = _nodes[number];
            switch (_random.Next(1_000))
            {
                case < 300:
                    var cost = _random.Next(10) == 0 ? _random.Next(_largestCost + 1) : Math.Max(1, _random.Next(_largestCost / 10 + 1));
                    node.Begin(cost, state =>
                    {
                        if (state.IsAdmitted)
                            _admitted.Add((_now, number, cost));
                    });
                    break;
                case < 800:
                    node.Step();
                    break;
                case < 980:
                    Pass(TimeSpan.FromTicks(_random.NextInt64(60 * TimeSpan.TicksPerMillisecond)));
                    break;
                case < 985:
                    Pass(TimeSpan.FromTicks(_random.NextInt64(5 * TimeSpan.TicksPerSecond)));
                    break;
                case < 987:
                    Pass(TimeSpan.FromTicks(_random.NextInt64(70 * TimeSpan.TicksPerSecond)));
                    break;
                case < 992:
                    node.IsPaused = true;
                    Pauses++;
                    break;
                case < 997:
                    _nodes.ForEach(each => each.IsPaused = false);
                    break;
                default:
                    if (IsFaulty)
                        (_shared.IsAvailable, _shared.IsSilent) = (_random.Next(3) > 0, _random.Next(3) == 0);
                    break;
            }
        }

        private void Pass(TimeSpan time)
        {
            _now += time;
            _clock.Advance(time);
            foreach (var arrived in _travelling.Where(one => one.Due <= _now).OrderBy(_ => _random.Next()).ToList())
            {
                _travelling.Remove(arrived);
                arrived.Travel.SetResult();
            }
        }

        private Task TravelAsync()
        {
            var longest = _isEnding || _random.Next(20) > 0 ? 20 : 600;
            var travel = new TaskCompletionSource();
            _travelling.Add((_now + TimeSpan.FromMilliseconds(_random.Next(longest)), travel));
            return travel.Task;
        }

        private static int FullestOf(List<(TimeSpan At, int Node, int Cost)> calls)
        {
            var (fullest, sum, first) = (0, 0, 0);
            foreach (var call in calls)
            {
                sum += call.Cost;
                while (call.At - calls[first].At >= TimeSpan.FromSeconds(60))
                    sum -= calls[first++].Cost;
                fullest = Math.Max(fullest, sum);
            }

            return fullest;
        }
    }
}
