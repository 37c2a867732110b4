using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Mira.Application.Background;
using Mira.Infrastructure.Sql;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>What the background loops do when the store throws what nobody thought of.</summary>
internal sealed partial class LoopFaultTests
{
    [Test]
    public async Task A_fault_that_nobody_thought_of_ends_no_loop_and_shows_until_it_is_over()
    {
        var fault = new Fault();
        await using var mira = MiraHost.Start(configure: fault.Install);
        var (anonymous, admin) = (mira.Http(), mira.Http(mira.Admin));
        var token = await mira.NewKeyAsync("viewer");
        Assert.That((await mira.Http(token).CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("200"));

        fault.IsThere = true;
        await MiraProcess.WaitForAsync(async () => await CountFailingAsync(anonymous) >= 2);
        Assert.That(mira.Services.GetRequiredService<LoopBoard>().IsFailing);
        var loops = mira.Services.GetServices<IHostedService>().OfType<BackgroundLoops>().ToList();
        Assert.That(loops, Has.Count.GreaterThan(5));
        Assert.That(loops.Where(loop => loop.ExecuteTask is { IsFaulted: true }), Is.Empty);
        Assert.That(mira.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested, Is.False);

        fault.IsThere = false;
        await MiraProcess.WaitForAsync(async () => await CountFailingAsync(anonymous) == 0);
        Assert.That(Failures().Matches((await anonymous.CallAsync("GET", "/metrics")).Text), Has.Count.GreaterThanOrEqualTo(2), "counted");
        await MiraProcess.WaitForAsync(async () => (await admin.CallAsync("GET", "/health")).Field("status") == "healthy");
        Assert.That((await mira.Http(await mira.NewKeyAsync("viewer")).CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("200"));
    }

    private static async Task<int> CountFailingAsync(HttpClient http) => Failing().Count((await http.CallAsync("GET", "/metrics")).Text);

    [GeneratedRegex("^background_failing{[^}]*} 1", RegexOptions.Multiline)]
    private static partial Regex Failing();

    [GeneratedRegex("^background_failures_total{[^}]*} [1-9]", RegexOptions.Multiline)]
    private static partial Regex Failures();

    /// <summary>Whoever opens the database meets it, while it is there.</summary>
    private sealed class Fault
    {
        public volatile bool IsThere;

        public void Install(IServiceCollection services)
        {
            var real = services.Last(service => service.ServiceType == typeof(IDbContextFactory<MiraDbContext>));
            services.Replace(ServiceDescriptor.Singleton<IDbContextFactory<MiraDbContext>>(provider => new Contexts(
                this,
                (IDbContextFactory<MiraDbContext>)(real.ImplementationFactory?.Invoke(provider)
                    ?? ActivatorUtilities.CreateInstance(provider, real.ImplementationType!)))));
        }

        private sealed class Contexts(Fault fault, IDbContextFactory<MiraDbContext> real) : IDbContextFactory<MiraDbContext>
        {
            public MiraDbContext CreateDbContext() =>
                fault.IsThere ? throw new InvalidOperationException("A fault that nobody thought of.") : real.CreateDbContext();

            public Task<MiraDbContext> CreateDbContextAsync(CancellationToken cancellationToken) =>
                fault.IsThere ? throw new InvalidOperationException("A fault that nobody thought of.") : real.CreateDbContextAsync(cancellationToken);
        }
    }
}
