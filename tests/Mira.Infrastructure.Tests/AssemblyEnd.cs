using Mira.Infrastructure.Tests.Airtable;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests;

/// <summary>Ends what all tests shared.</summary>
[SetUpFixture]
public sealed class AssemblyEnd
{
    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await SharedAirtable.StopAsync();
        await SharedPostgres.StopAsync();
    }
}
