using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Web.Tests.Http;

/// <summary>What a caller and the log see of an error that nobody foresaw.</summary>
internal sealed class UnexpectedErrorTests : SharedHostTests
{
    private const string Inside = "Host=10.1.2.3;Password=hunter2";

    protected override void Configure(IServiceCollection services)
    {
        var real = services.Last(service => service.ServiceType == typeof(IKeyStore)).ImplementationType!;
        services.Replace(ServiceDescriptor.Singleton<IKeyStore>(provider =>
            new ListsNothing((IKeyStore)ActivatorUtilities.CreateInstance(provider, real))));
    }

    [Test]
    public async Task The_caller_gets_a_trace_id_and_the_log_the_cause_once()
    {
        var answer = (await SendAsync("GET", "/api/keys")).ShouldBeProblem(500, "internal_error");
        Assert.That(answer.Body, Does.Not.Contain("hunter2").And.Not.Contain(nameof(ListsNothing)));
        Assert.That(Regex.Count(Mira.Log, "hunter2"), Is.EqualTo(1));
        Assert.That(Mira.Log, Does.Contain("A request failed unexpectedly"));

        Assert.That((await SendAsync("GET", "/api/auth/validate")).Status, Is.EqualTo(200));
    }

    private sealed class ListsNothing(IKeyStore store) : IKeyStore
    {
        public Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken) => store.ReadAsync(id, cancellationToken);

        public Task<IReadOnlyList<(ApiKey Key, long Seq)>> FindAsync(KeyFilter filter, CancellationToken cancellationToken) =>
            throw new InvalidOperationException(Inside);
    }
}
