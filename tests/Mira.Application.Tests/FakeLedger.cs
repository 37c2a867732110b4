using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests;

/// <summary>A ledger that keeps keys in memory and tells in which order things happened.</summary>
internal sealed class FakeLedger : ILedger, ILedgerChange
{
    public DateTimeOffset Now { get; set; } = HeldKey.Start;

    public Dictionary<KeyId, ApiKey> Keys { get; } = [];

    public List<string> Steps { get; } = [];

    public List<KeyEvent> SystemEvents { get; } = [];

    public Dictionary<(string Caller, string Key), StoredResponse> Answers { get; } = [];

    public int OtherAdmins { get; set; } = 1;

    public void Put(HeldKey held)
    {
        held.Key.TakeEvents();
        Keys[held.Id] = held.Key;
    }

    public async Task<T> ChangeAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        var result = await change(this);
        Steps.Add("commit");
        return result;
    }

    public Task<ApiKey?> FindKeyAsync(KeyId id)
    {
        Steps.Add("key");
        return Task.FromResult(Keys.GetValueOrDefault(id));
    }

    public Task<bool> HasKeysAsync() => Task.FromResult(Keys.Count > 0);

    public Task<int> CountActiveAdminsAsync(KeyId except) => Task.FromResult(OtherAdmins);

    public void Add(ApiKey key)
    {
        Steps.Add("add");
        Keys.Add(key.Id, key);
    }

    public void Record(KeyEvent systemEvent) => SystemEvents.Add(systemEvent);

    public void Record(PendingEvent gathered) => Steps.Add(gathered.Type);

    public Task<PruneResult> CutAsync(DateTimeOffset before, int keep, int most) => Task.FromResult(default(PruneResult));

    public Task<StoredResponse?> FindAnswerAsync(IdempotentRequest repeat)
    {
        Steps.Add("answer");
        return Task.FromResult(Answers.GetValueOrDefault((repeat.Caller, repeat.Key)));
    }

    public void Remember(IdempotentRequest repeat, string answer) => Answers.Add((repeat.Caller, repeat.Key), new StoredResponse(repeat.Fingerprint, answer));
}
