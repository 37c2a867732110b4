namespace Mira.TestServers.Airtable;

/// <summary>A call that has arrived and waits to be carried out, also when its caller is gone by then.</summary>
public sealed class AirtableHeldCall
{
    private readonly TaskCompletionSource<AirtableArrival> _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal AirtableHeldCall(Func<AirtableArrival, bool> match) => Match = match;

    public Task<AirtableArrival> Arrived => _arrived.Task;

    internal Func<AirtableArrival, bool> Match { get; }

    internal Task Released => _released.Task;

    /// <summary>Lets it be carried out, and waits until it is.</summary>
    public Task ReleaseAsync()
    {
        _released.TrySetResult();
        return _done.Task;
    }

    internal void Arrive(AirtableArrival arrival) => _arrived.TrySetResult(arrival);

    internal void Finish() => _done.TrySetResult();
}
