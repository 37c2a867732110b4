using System.Text;

namespace Mira.Application.Tests.Protocols;

/// <summary>
/// A protocol as a machine: its first state, every step that can follow a state, and what must hold in all of them.
/// </summary>
internal abstract class Model
{
    /// <summary>The first state, packed into bits.</summary>
    public abstract ModelState First { get; }

    /// <summary>Adds every state that one step leads to.</summary>
    public abstract void AddSteps(ModelState state, List<Step> steps);

    /// <summary>Returns the number of an invariant that the state violates, or 0.</summary>
    public abstract int FindViolation(ModelState state);

    /// <summary>Writes a state in words, for the trace to a violation.</summary>
    public abstract string Describe(ModelState state);
}

/// <summary>A state of a model, packed into bits.</summary>
internal readonly record struct ModelState(UInt128 Low, UInt128 High);

/// <summary>One step of a model.</summary>
/// <param name="Action">The same text for every step of a kind.</param>
/// <param name="Node">The number of the node that makes it; 0 for none.</param>
internal readonly record struct Step(string Action, int Node, ModelState Next);

/// <summary>
/// The result of a check: how many states there are, and the shortest way to a violation if there is one.
/// </summary>
/// <param name="Violated">The number of the invariant; 0 when all hold.</param>
/// <param name="Actions">How often each kind of step was made, so that a check of too little is seen.</param>
internal sealed record CheckedModel(
    int States, int Depth, int Violated, string Trace, IReadOnlyDictionary<string, long> Actions);

/// <summary>
/// Visits every state that a model can reach, breadth first, so that the first violation found has the shortest
/// trace.
/// </summary>
internal static class ModelChecker
{
    /// <param name="mostStates">The check fails when there are more, instead of taking the machine's memory.</param>
    public static CheckedModel Check(Model model, int mostStates = 20_000_000)
    {
        var visited = new Visited();
        visited.TryAdd(model.First, from: -1);
        var actions = new Dictionary<string, long>();
        var steps = new List<Step>();
        var (depth, endOfDepth) = (0, 1);
        for (var current = 0; current < visited.Count; current++)
        {
            if (current == endOfDepth)
                (depth, endOfDepth) = (depth + 1, visited.Count);
            if (model.FindViolation(visited[current]) is var violated and not 0)
                return new CheckedModel(visited.Count, depth, violated, Trace(model, visited, current), actions);

            steps.Clear();
            model.AddSteps(visited[current], steps);
            foreach (var step in steps)
            {
                actions[step.Action] = actions.GetValueOrDefault(step.Action) + 1;
                visited.TryAdd(step.Next, current);
            }

            if (visited.Count > mostStates)
                throw new InvalidOperationException($"The model has more than {mostStates} states.");
        }

        return new CheckedModel(visited.Count, depth, 0, "", actions);
    }

    private static string Trace(Model model, Visited visited, int last)
    {
        var path = new Stack<int>();
        for (var index = last; index >= 0; index = visited.From(index))
            path.Push(index);
        var text = new StringBuilder().AppendLine(model.Describe(visited[path.Peek()]));
        var steps = new List<Step>();
        for (var before = path.Pop(); path.Count > 0; before = path.Pop())
        {
            steps.Clear();
            model.AddSteps(visited[before], steps);
            var step = steps.Find(step => step.Next == visited[path.Peek()]);
            text.Append("-> ").Append(step.Action).AppendLine(step.Node > 0 ? $", node {step.Node}" : "");
            text.AppendLine(model.Describe(step.Next));
        }

        return text.ToString();
    }

    /// <summary>
    /// A hash table in arrays of its own: a state takes 32 bytes, its predecessor and its slot 4 each.
    /// </summary>
    private sealed class Visited
    {
        private ModelState[] _states = new ModelState[1 << 10];
        private int[] _from = new int[1 << 10];
        private int[] _slots = new int[1 << 11];

        public int Count { get; private set; }

        public ModelState this[int index] => _states[index];

        public int From(int index) => _from[index];

        public void TryAdd(ModelState state, int from)
        {
            var slot = SlotOf(state);
            if (_slots[slot] != 0)
                return;

            if (Count == _states.Length)
            {
                Grow();
                slot = SlotOf(state);
            }

            (_states[Count], _from[Count]) = (state, from);
            _slots[slot] = ++Count;
        }

        // A slot holds an index and 1, so that 0 is an empty one.
        private int SlotOf(ModelState state)
        {
            var slot = (int)(Mix(state.Low, Mix(state.High, 0)) >> 32) & (_slots.Length - 1);
            while (_slots[slot] != 0 && _states[_slots[slot] - 1] != state)
                slot = (slot + 1) & (_slots.Length - 1);
            return slot;
        }

        private static ulong Mix(UInt128 bits, ulong mixed)
        {
            mixed = (mixed ^ (ulong)bits) * 0x9E3779B97F4A7C15UL;
            mixed = (mixed ^ (mixed >> 29) ^ (ulong)(bits >> 64)) * 0xBF58476D1CE4E5B9UL;
            return mixed ^ (mixed >> 32);
        }

        private void Grow()
        {
            Array.Resize(ref _states, _states.Length * 2);
            Array.Resize(ref _from, _from.Length * 2);
            _slots = new int[_slots.Length * 2];
            for (var index = 0; index < Count; index++)
                _slots[SlotOf(_states[index])] = index + 1;
        }
    }
}

/// <summary>Packs small numbers into the bits of a state.</summary>
internal struct BitWriter
{
    private UInt128 _low;
    private UInt128 _high;
    private int _used;

    public readonly ModelState State => new(_low, _high);

    public void Put(int value, int bits)
    {
        if (value < 0 || value >> bits != 0)
            throw new ArgumentOutOfRangeException(nameof(value), $"{value} does not fit into {bits} bits.");
        if (_used + bits > 256)
            throw new InvalidOperationException("A state has 256 bits.");
        if (_used < 128)
            _low |= (UInt128)(uint)value << _used;
        if (_used >= 128)
            _high |= (UInt128)(uint)value << (_used - 128);
        else if (_used + bits > 128)
            _high |= (UInt128)(uint)value >> (128 - _used);
        _used += bits;
    }

    public void Put(bool value) => Put(value ? 1 : 0, 1);
}

/// <summary>Takes them out again, in the same order.</summary>
internal struct BitReader(ModelState state)
{
    private UInt128 _low = state.Low;
    private UInt128 _high = state.High;

    public int Take(int bits)
    {
        var value = (int)(uint)(_low & (((UInt128)1 << bits) - 1));
        _low = (_low >> bits) | (_high << (128 - bits));
        _high >>= bits;
        return value;
    }

    public bool Take() => Take(1) == 1;
}
