using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Mira.TestServers.Airtable;

/// <summary>
/// A stand-in for Airtable's Web API on a free loopback port: one base, whose limits, shapes and refusals are the real
/// ones as documented. It records every call, lets people's hands into its tables, and fails as it is told.
/// </summary>
public sealed class AirtableServer : IAsyncDisposable
{
    private readonly AirtableServerOptions _options;
    private readonly AirtableRecordCalls _records;
    private readonly AirtableRate _rate;
    private readonly AirtableReplies _replies;
    private readonly Lock _lock = new();
    private readonly List<AirtableSheet> _sheets = [];
    private readonly List<AirtableArrival> _calls = [];
    private readonly List<AirtableHeldCall> _held = [];
    private readonly CancellationTokenSource _end = new();
    private readonly long _origin;
    private readonly WebApplication _app;

    private AirtableServer(AirtableServerOptions options)
    {
        _options = options;
        _records = new AirtableRecordCalls(options);
        _rate = new AirtableRate(options);
        _replies = new AirtableReplies(options, Faults, _end.Token);
        _origin = options.Clock.GetTimestamp();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        _app = builder.Build();
        _app.Run(ServeAsync);
    }

    public Uri Url { get; private set; } = null!;

    public string BaseId { get; } = AirtableIds.New("app");

    public string Token { get; } = $"{AirtableIds.New("pat")}.{Guid.NewGuid():N}{Guid.NewGuid():N}";

    public AirtableFaults Faults { get; } = new();

    /// <summary>What is done to each answer of a call that succeeded, before it is sent; null for nothing.</summary>
    public Action<AirtableArrival, JsonObject>? Distort { get; set; }

    /// <summary>Every call that arrived, also those that were refused.</summary>
    public IReadOnlyList<AirtableArrival> Calls
    {
        get
        {
            lock (_lock)
                return [.. _calls];
        }
    }

    /// <summary>The most calls that arrived within any second.</summary>
    public int BusiestSecond
    {
        get
        {
            var times = Calls.Select(call => call.At).ToArray();
            var (busiest, first) = (0, 0);
            for (var last = 0; last < times.Length; last++)
            {
                while (times[last] - times[first] >= TimeSpan.FromSeconds(1))
                    first++;
                busiest = Math.Max(busiest, last - first + 1);
            }

            return busiest;
        }
    }

    public static async Task<AirtableServer> StartAsync(AirtableServerOptions? options = null)
    {
        var server = new AirtableServer(options ?? new AirtableServerOptions());
        await server._app.StartAsync();
        server.Url = new Uri(server._app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single());
        return server;
    }

    /// <summary>The table of this name.</summary>
    public AirtableSheet Sheet(string name)
    {
        lock (_lock)
            return _sheets.Single(sheet => sheet.Name == name);
    }

    /// <summary>A person makes a table by hand, with one field.</summary>
    public AirtableSheet AddSheet(string name, string primaryField = "Name")
    {
        lock (_lock)
            return Make(name, [new AirtableFieldSetup(AirtableIds.New("fld"), primaryField, "singleLineText", null)]);
    }

    /// <summary>A person deletes a table.</summary>
    public void RemoveSheet(string name)
    {
        lock (_lock)
            _sheets.RemoveAll(sheet => sheet.Name == name);
    }

    /// <summary>The next call for which this holds is not carried out before it is released.</summary>
    public AirtableHeldCall Hold(Func<AirtableArrival, bool> match)
    {
        var held = new AirtableHeldCall(match);
        lock (_lock)
            _held.Add(held);
        return held;
    }

    /// <summary>A call that did not come is waited for no longer.</summary>
    public void Forget(AirtableHeldCall held)
    {
        lock (_lock)
            _held.Remove(held);
    }

    /// <summary>Lists that are under way cannot be continued.</summary>
    public void ForgetOffsets()
    {
        lock (_lock)
            _records.ForgetOffsets();
    }

    /// <summary>A lock-out is over.</summary>
    public void Unlock()
    {
        lock (_lock)
            _rate.Open();
    }

    public async ValueTask DisposeAsync()
    {
        if (_end.IsCancellationRequested)
            return;

        await _end.CancelAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(patience.Token);
        await _app.DisposeAsync();
    }

    private async Task ServeAsync(HttpContext context)
    {
        var at = _options.Clock.GetElapsedTime(_origin);
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var request = context.Request;
        var arrival = new AirtableArrival(at, request.Method, request.Path.Value!, request.QueryString.Value!, await reader.ReadToEndAsync(context.RequestAborted));
        var refusal = Arrive(arrival);
        var held = refusal is null ? Held(arrival) : null;
        if (held is not null)
            await held.Released.WaitAsync(_end.Token);
        if (refusal is null)
            await _replies.SendAsync(context, fault => Answer(context, arrival, fault), Faults.Draw(arrival));
        else
            await _replies.SendAsync(context, _ => (refusal.Status, refusal.Body), AirtableFault.None);
        held?.Finish();
    }

    /// <returns>Null when it is not one too many.</returns>
    private AirtableRefusal? Arrive(AirtableArrival arrival)
    {
        lock (_lock)
        {
            _calls.Insert(_calls.FindLastIndex(call => call.At <= arrival.At) + 1, arrival);
            return _rate.Take(arrival.At) ? null : AirtableRefusal.TooMany();
        }
    }

    private AirtableHeldCall? Held(AirtableArrival arrival)
    {
        lock (_lock)
        {
            var held = _held.Find(one => one.Match(arrival));
            if (held is not null)
                _held.Remove(held);
            held?.Arrive(arrival);
            return held;
        }
    }

    /// <summary>Decides and carries out, in one go.</summary>
    private (int Status, JsonObject Body) Answer(HttpContext context, AirtableArrival arrival, AirtableFault fault)
    {
        lock (_lock)
        {
            try
            {
                if (fault == AirtableFault.TooMany)
                {
                    _rate.LockOut(_options.Clock.GetElapsedTime(_origin));
                    throw AirtableRefusal.TooMany();
                }

                if (fault == AirtableFault.MonthIsUsedUp)
                    throw AirtableRefusal.MonthIsUsedUp();
                var body = Route(context.Request, arrival);
                Distort?.Invoke(arrival, body);
                return (200, body);
            }
            catch (AirtableRefusal refusal)
            {
                return (refusal.Status, refusal.Body);
            }
        }
    }

    private JsonObject Route(HttpRequest request, AirtableArrival arrival)
    {
        var authorization = request.Headers.Authorization.ToString();
        if (!authorization.StartsWith("Bearer ", StringComparison.Ordinal))
            throw AirtableRefusal.Unauthenticated();
        if (authorization["Bearer ".Length..] != Token)
            throw AirtableRefusal.WrongToken();

        // A slash within a name comes encoded.
        string[] path = [.. arrival.Path.Split('/').Skip(1).Select(part => part.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase))];
        var body = arrival.Body.Length == 0 ? null : Parse(arrival.Body);
        switch (path)
        {
            case ["v0", "meta", "bases", var id, "tables"]:
                Demand(id, arrival, AirtableServerOptions.ReadSchema, AirtableServerOptions.WriteSchema);
                return arrival.Method switch
                {
                    "GET" => AirtableMetadataCalls.Tables(_sheets),
                    "POST" => AirtableMetadataCalls.Create(_sheets, body, Make),
                    _ => throw AirtableRefusal.NoRoute(),
                };
            case ["v0", "meta", "bases", var id, "tables", var table, "fields"] when arrival.Method == "POST":
                Demand(id, arrival, AirtableServerOptions.WriteSchema, AirtableServerOptions.WriteSchema);
                return AirtableMetadataCalls.AddField(_sheets.Find(sheet => sheet.Id == table) ?? throw AirtableRefusal.NotPermitted(), body);
            case ["v0", var id, var table, .. var rest] when id != "meta" && rest.Length <= 1:
                Demand(id, arrival, AirtableServerOptions.ReadRecords, AirtableServerOptions.WriteRecords);
                var found = _sheets.Find(sheet => sheet.Id == table || sheet.Name == table) ?? throw AirtableRefusal.NotPermitted();
                return _records.Answer(found, arrival.Method, rest.SingleOrDefault(), request.Query, body);
            default:
                throw AirtableRefusal.NoRoute();
        }
    }

    private void Demand(string baseId, AirtableArrival arrival, string toRead, string toWrite)
    {
        if (baseId != BaseId || !_options.Scopes.Contains(arrival.IsWrite ? toWrite : toRead))
            throw AirtableRefusal.NotPermitted();
    }

    private AirtableSheet Make(string name, IReadOnlyList<AirtableFieldSetup> fields)
    {
        var sheet = new AirtableSheet(name, fields, _lock, _options.Clock);
        _sheets.Add(sheet);
        return sheet;
    }

    private static JsonObject? Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text) as JsonObject;
        }
        catch (JsonException)
        {
            throw new AirtableRefusal(400, "INVALID_REQUEST_BODY", "Could not parse request body");
        }
    }
}
