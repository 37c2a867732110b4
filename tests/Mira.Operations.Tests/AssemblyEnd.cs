using Mira.TestServers;

namespace Mira.Operations.Tests;

/// <summary>Ends what all tests shared.</summary>
[SetUpFixture]
public sealed class AssemblyEnd
{
    [OneTimeTearDown]
    public Task StopAsync() => SharedPostgres.StopAsync();
}
