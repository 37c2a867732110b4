using Mira.Client;

namespace Mira.Web.Tests.Hosts;

/// <summary>One host for all tests of a fixture, which therefore look only at keys of their own.</summary>
/// <param name="holdClock">True for a clock that moves only when a test moves it.</param>
internal abstract class SharedHost(bool holdClock = true)
{
    protected MiraHost Host { get; private set; } = null!;

    /// <summary>The first admin, typed.</summary>
    protected MiraClient Admin { get; private set; } = null!;

    /// <summary>The first admin, bare.</summary>
    protected HttpClient AdminHttp { get; private set; } = null!;

    protected DateTimeOffset Now => Host.Clock!.GetUtcNow();

    [OneTimeSetUp]
    public void StartHost()
    {
        Host = MiraHost.Start(holdClock);
        Admin = Host.Client();
        AdminHttp = Host.Http(Host.Admin);
    }

    [OneTimeTearDown]
    public async Task StopHost()
    {
        AdminHttp.Dispose();
        await Host.DisposeAsync();
    }

    protected Task<CreatedKey> CreateAsync(string role = "viewer", string? owner = null, int? days = null, string name = "a key") =>
        Admin.CreateKeyAsync(new CreateKey { Name = name, Role = role, Owner = owner, ExpiryDays = days });

    /// <summary>What a caller with this token is told.</summary>
    protected async Task<string> VerdictOnAsync(string? token) => (await Host.Http(token).ValidateAsync()).Verdict;

    protected async Task<IReadOnlyList<AuditEventView>> EventsOfAsync(string keyId) => (await Admin.ListAuditEventsAsync(keyId: keyId, limit: 200)).Events;

    /// <summary>A word that no other test has used.</summary>
    protected static string Unique() => $"u{Guid.NewGuid():N}";
}
