using System.Data.Common;
using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>The statements that EF Core runs in this process while this is there.</summary>
internal sealed class Statements : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object?>>, IDisposable
{
    private readonly List<IDisposable> _subscriptions = [];
    private readonly List<(string Sql, string Parameter)> _seen = [];

    public Statements() => _subscriptions.Add(DiagnosticListener.AllListeners.Subscribe(this));

    /// <summary>The one with this parameter, whose name becomes @id.</summary>
    public string Single(string parameter)
    {
        lock (_seen)
            return _seen.Single(statement => statement.Parameter == parameter).Sql;
    }

    public void OnNext(DiagnosticListener value)
    {
        if (value.Name == DbLoggerCategory.Name)
            _subscriptions.Add(value.Subscribe(this));
    }

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value.Value is not CommandExecutedEventData { Command: { Parameters.Count: > 0 } command })
            return;

        var parameters = command.Parameters.Cast<DbParameter>().ToList();
        if (parameters.Select(parameter => parameter.Value as string ?? "").Distinct().ToList() is not [var only])
            return;
        lock (_seen)
            _seen.Add((parameters.Aggregate(command.CommandText, (sql, parameter) => Regex.Replace(sql, $@"{parameter.ParameterName}\b", "@id")), only));
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }

    public void Dispose() => _subscriptions.ForEach(subscription => subscription.Dispose());
}
