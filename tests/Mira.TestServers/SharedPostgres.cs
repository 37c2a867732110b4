namespace Mira.TestServers;

/// <summary>
/// One PostgreSQL for all tests of an assembly that do it no harm. It starts when the first test asks for it.
/// </summary>
public static class SharedPostgres
{
    private static Lazy<Task<PostgresServer>> _server = NotStarted();

    public static Task<PostgresServer> ServerAsync() => _server.Value;

    /// <summary>Ends it. The fixture that ends an assembly's tests calls this.</summary>
    public static async Task StopAsync()
    {
        if (_server.IsValueCreated)
            await (await _server.Value).DisposeAsync();
        _server = NotStarted();
    }

    private static Lazy<Task<PostgresServer>> NotStarted() => new(PostgresServer.StartNewAsync);
}
