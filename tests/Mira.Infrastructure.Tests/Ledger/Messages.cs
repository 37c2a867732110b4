using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Mira.Infrastructure.Tests.Ledger;

/// <summary>What was logged, and when the next line comes.</summary>
internal sealed class Messages<T> : ILogger<T>
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _lines = new();
    private readonly Channel<(LogLevel Level, string Text)> _coming = Channel.CreateUnbounded<(LogLevel, string)>();

    public IReadOnlyList<(LogLevel Level, string Text)> Lines => [.. _lines];

    public async Task<(LogLevel Level, string Text)> NextAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        return await _coming.Reader.ReadAsync(patience.Token);
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        var line = (logLevel, formatter(state, exception));
        _lines.Enqueue(line);
        _coming.Writer.TryWrite(line);
    }
}
