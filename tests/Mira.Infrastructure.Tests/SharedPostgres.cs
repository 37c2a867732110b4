using Mira.TestServers;

namespace Mira.Infrastructure.Tests;

/// <summary>One PostgreSQL for all tests of this assembly that do it no harm; each has databases of its own in it.</summary>
[SetUpFixture]
public sealed class SharedPostgres
{
    private static Lazy<Task<PostgresServer>> _server = NotStarted();

    public static Task<PostgresServer> ServerAsync() => _server.Value;

    public static void Drop(string database) => _server.Value.Result.DropDatabaseAsync(database).Wait();

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_server.IsValueCreated)
            await (await _server.Value).DisposeAsync();
        _server = NotStarted();
    }

    private static Lazy<Task<PostgresServer>> NotStarted() => new(PostgresServer.StartNewAsync);
}
