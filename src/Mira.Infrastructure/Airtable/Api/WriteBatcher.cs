using System.Collections.Concurrent;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Gathers what waits for the same kind of call: one call at a time is under way, and takes up to ten of what came
/// meanwhile with it.
/// </summary>
/// <param name="rowOf">Which row it is for. A call takes one change of a row; the next change of that row waits for the
/// next call.</param>
internal sealed class WriteBatcher<T>(Func<IReadOnlyList<T>, Task<IReadOnlyList<AirtableRecord>>> call, Func<T, string?> rowOf, TimeProvider clock)
{
    private const int Largest = 10;

    /// <summary>
    /// What comes together arrives one after the other; a call takes many times as long, and there are few.
    /// </summary>
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(10);

    private readonly ConcurrentQueue<Item> _waiting = new();

    /// <summary>
    /// Changes that a call left out because it held another one of the same row. They come before everything that
    /// waits.
    /// </summary>
    private readonly Queue<Item> _repeated = new();

    private int _isCalling;

    /// <exception cref="AirtableException">The call came to nothing, or perhaps not.</exception>
    public Task<AirtableRecord> RunAsync(T value)
    {
        var item = new Item(value, rowOf(value));
        _waiting.Enqueue(item);
        if (Interlocked.Exchange(ref _isCalling, 1) == 0)
            _ = Task.Run(CallAllAsync);
        return item.Done.Task;
    }

    private async Task CallAllAsync()
    {
        do
        {
            while (_repeated.Count > 0 || !_waiting.IsEmpty)
            {
                if (_repeated.Count + _waiting.Count < Largest)
                    await Task.Delay(Linger, clock);
                await CallAsync(Take());
            }

            Volatile.Write(ref _isCalling, 0);
        }
        while (!_waiting.IsEmpty && Interlocked.Exchange(ref _isCalling, 1) == 0);
    }

    private List<Item> Take()
    {
        var (items, rows) = (new List<Item>(), new HashSet<string?>());
        for (var left = _repeated.Count; left > 0; left--)
            TakeOrLeave(_repeated.Dequeue());
        while (items.Count < Largest && _waiting.TryDequeue(out var item))
            TakeOrLeave(item);
        return items;

        void TakeOrLeave(Item item)
        {
            if (items.Count < Largest && rows.Add(item.Row))
                items.Add(item);
            else
                _repeated.Enqueue(item);
        }
    }

    private async Task CallAsync(List<Item> items)
    {
        try
        {
            var records = await call([.. items.Select(item => item.Value)]);
            for (var index = 0; index < items.Count; index++)
                items[index].Finish(records[index]);
        }
        catch (AirtableException exception) when (items.Count > 1 && exception is { Fate: DeliveryState.NotSent, Status: not null and not System.Net.HttpStatusCode.TooManyRequests, IsPassing: false })
        {
            // Refused as a whole for what may be wrong with one of them.
            foreach (var item in items)
                await CallAsync([item]);
        }
        catch (Exception exception)
        {
            foreach (var item in items)
                item.Done.TrySetException(exception);
        }
    }

    private sealed record Item(T Value, string? Row)
    {
        public TaskCompletionSource<AirtableRecord> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Finish(AirtableRecord record)
        {
            if (record.IsUnreadable)
                Done.SetException(AirtableResponse.Nonsense("without a row that was written"));
            else
                Done.SetResult(record);
        }
    }
}
