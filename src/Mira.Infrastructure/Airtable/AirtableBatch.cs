using System.Collections.Concurrent;

namespace Mira.Infrastructure.Airtable;

/// <summary>Gathers what waits for the same kind of call: one call at a time is under way, and takes up to ten of what came meanwhile with it.</summary>
internal sealed class AirtableBatch<T>(Func<IReadOnlyList<T>, Task<IReadOnlyList<AirtableRecord>>> call, TimeProvider clock)
{
    private const int Largest = 10;

    /// <summary>What comes together arrives one after the other; a call takes many times as long, and there are few.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(10);

    private readonly ConcurrentQueue<Item> _waiting = new();
    private int _isCalling;

    /// <exception cref="AirtableException">The call came to nothing, or perhaps not.</exception>
    public Task<AirtableRecord> RunAsync(T value)
    {
        var item = new Item(value);
        _waiting.Enqueue(item);
        if (Interlocked.Exchange(ref _isCalling, 1) == 0)
            _ = Task.Run(CallAllAsync);
        return item.Done.Task;
    }

    private async Task CallAllAsync()
    {
        do
        {
            while (!_waiting.IsEmpty)
            {
                if (_waiting.Count < Largest)
                    await Task.Delay(Linger, clock);
                await CallAsync(Take());
            }

            Volatile.Write(ref _isCalling, 0);
        }
        while (!_waiting.IsEmpty && Interlocked.Exchange(ref _isCalling, 1) == 0);
    }

    private List<Item> Take()
    {
        var items = new List<Item>();
        while (items.Count < Largest && _waiting.TryDequeue(out var item))
            items.Add(item);
        return items;
    }

    private async Task CallAsync(List<Item> items)
    {
        try
        {
            var records = await call([.. items.Select(item => item.Value)]);
            for (var index = 0; index < items.Count; index++)
                items[index].Done.SetResult(records[index]);
        }
        catch (AirtableException exception) when (items.Count > 1 && exception is { Fate: AirtableFate.NotSent, Status: not null and not System.Net.HttpStatusCode.TooManyRequests, IsPassing: false })
        {
            // Refused as a whole for what may be wrong with one of them.
            foreach (var item in items)
                await CallAsync([item]);
        }
        catch (Exception exception)
        {
            foreach (var item in items)
                item.Done.SetException(exception);
        }
    }

    private sealed record Item(T Value)
    {
        public TaskCompletionSource<AirtableRecord> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
