using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Running;

/// <summary>How long a node decides by what it remembers when it cannot see the ledger.</summary>
internal sealed class StalenessTests
{
    [Test]
    public async Task Verification_goes_on_until_what_is_known_is_too_old_and_then_nothing_opens()
    {
        var ledger = new Switch();
        await using var mira = MiraHost.Start(holdClock: true, configure: ledger.Install, settings: ("Mira:Verification:MaxStaleness", "00:00:20"));
        var operatorKey = await mira.NewKeyAsync("operator");
        var revoked = await mira.NewKeyAsync("viewer");
        await mira.Client().RevokeKeyAsync(MiraHost.IdOf(revoked), null);
        await ExpectAsync(mira, operatorKey, 200);
        (await CallAsync(mira, revoked, "/api/auth/validate")).ShouldBeProblem(401, "key_revoked");

        ledger.IsBroken = true;
        for (var second = 1; second <= 19; second++)
        {
            mira.Clock!.Advance(TimeSpan.FromSeconds(1));
            await ExpectAsync(mira, operatorKey, 200);
        }

        (await CallAsync(mira, revoked, "/api/auth/validate")).ShouldBeProblem(401, "key_revoked");
        Assert.That((await CallAsync(mira, null, "/health/ready")).Status, Is.EqualTo(200));

        mira.Clock!.Advance(TimeSpan.FromSeconds(2));
        await ExpectAsync(mira, operatorKey, 503);
        await ExpectAsync(mira, revoked, 503);
        var forward = (await CallAsync(mira, operatorKey, "/api/auth/forward")).ShouldBeProblem(503, "store_unavailable");
        Assert.That(forward.Header("X-Mira-Role"), Is.Null);
        var ready = await CallAsync(mira, operatorKey, "/health/ready");
        Assert.That((ready.Status, ready.Json.GetProperty("status").GetString()), Is.EqualTo((503, "unhealthy")));
        Assert.That((await CallAsync(mira, operatorKey, "/health")).Status, Is.EqualTo(503));
        Assert.That((await CallAsync(mira, null, "/health/live")).Status, Is.EqualTo(200));
        (await CallAsync(mira, null, "/api/auth/validate")).ShouldBeProblem(401, "missing_credentials");
        (await CallAsync(mira, "malformed", "/api/auth/validate")).ShouldBeProblem(401, "invalid_key");

        ledger.IsBroken = false;
        mira.Clock.Advance(TimeSpan.FromSeconds(1));
        // Who comes while the poll runs that finds it again does not wait for it.
        await MiraProcess.WaitForAsync(async () => (await CallAsync(mira, operatorKey, "/api/auth/validate")).Status == 200);
        Assert.That((await CallAsync(mira, null, "/health/ready")).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task The_figures_say_how_old_it_is()
    {
        var ledger = new Switch();
        await using var mira = MiraHost.Start(holdClock: true, configure: ledger.Install);
        await ExpectAsync(mira, mira.Admin, 200);
        ledger.IsBroken = true;
        mira.Clock!.Advance(TimeSpan.FromSeconds(12));
        var stats = await CallAsync(mira, mira.Admin, "/api/keys/stats/cache");
        Assert.That(stats.Json.GetProperty("staleness_seconds").GetDouble(), Is.InRange(12, 14));
        var health = await CallAsync(mira, mira.Admin, "/health");
        Assert.That(health.Json.GetProperty("details").GetProperty("staleness_seconds").GetDouble(), Is.InRange(12, 14));
    }

    private static async Task ExpectAsync(MiraHost mira, string token, int status)
    {
        var own = await CallAsync(mira, token, "/api/auth/validate");
        if (status == 200)
        {
            Assert.That(own.Status, Is.EqualTo(200), own.Body);
            return;
        }

        Assert.That(own.ShouldBeProblem(503, "store_unavailable").Header("Retry-After"), Does.Match("^[1-9][0-9]*$"));
    }

    private static Task<WireAnswer> CallAsync(MiraHost mira, string? token, string path) => WireAnswer.OfAsync(mira.Http(token).GetAsync(path));

    /// <summary>The real ledger, until it is broken.</summary>
    private sealed class Switch
    {
        public bool IsBroken { get; set; }

        public void Install(IServiceCollection services)
        {
            var real = services.Last(service => service.ServiceType == typeof(ILedgerReader)).ImplementationType!;
            services.Replace(ServiceDescriptor.Singleton<ILedgerReader>(provider =>
                new Breakable(this, (ILedgerReader)ActivatorUtilities.CreateInstance(provider, real))));
        }

        private sealed class Breakable(Switch state, ILedgerReader ledger) : ILedgerReader
        {
            public Task<LedgerPosition> GetHeadAsync(CancellationToken cancellationToken) => Demand().GetHeadAsync(cancellationToken);

            public Task<LedgerOutline> GetOutlineAsync(int depth, CancellationToken cancellationToken) => Demand().GetOutlineAsync(depth, cancellationToken);

            public Task<IReadOnlyList<LedgerEvent>> ReadFromAsync(long seq, int limit, CancellationToken cancellationToken) =>
                Demand().ReadFromAsync(seq, limit, cancellationToken);

            public Task<IReadOnlyList<LedgerEvent>> FindAsync(EventFilter filter, CancellationToken cancellationToken) =>
                Demand().FindAsync(filter, cancellationToken);

            private ILedgerReader Demand() => state.IsBroken ? throw new StoreUnavailableException("Broken by a test.") : ledger;
        }
    }
}
