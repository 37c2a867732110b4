using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Mira.Infrastructure.Airtable;

/// <param name="Path">Below <c>/v0/</c>, with its query.</param>
/// <param name="IsRepeatable">Does it come to the same done twice?</param>
internal sealed record AirtableCall(HttpMethod Method, string Path, JsonNode? Body, CallPriority Urgency, bool IsRepeatable)
{
    public bool IsAboutSchema => Path.StartsWith("meta/", StringComparison.Ordinal);

    /// <summary>Has an attempt been made whose outcome is unknown?</summary>
    public bool IsInDoubt { get; set; }

    /// <summary>Can less be asked for when the answer is too long? Then the same call is not tried again.</summary>
    public bool CanBeSmaller { get; init; }
}

/// <summary>One attempt at a call: its turn, the request, the answer, and what a failure means.</summary>
internal sealed class AirtableAttempt(AirtableOptions options, RequestLimiter pace, TimeProvider clock)
{
    /// <exception cref="AirtableException">It came to nothing, or nobody knows.</exception>
    public async Task<AirtableResponse> SendAsync(HttpClient http, AirtableCall call, CancellationToken cancellationToken)
    {
        using var place = await pace.EnterAsync(call.Urgency, cancellationToken);
        // What the table looks like is asked once at a start, before anybody has the right.
        if (!call.IsAboutSchema && pace.HasRight?.Invoke() == false)
            throw new AirtableException("another node has the right to call", DeliveryState.NotSent);
        using var limit = new CancellationTokenSource(options.PatienceOf(call.Urgency).Attempt, clock);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var wasInDoubt = call.IsInDoubt;
        call.IsInDoubt = true;
        try
        {
            var answer = await SendAsync(http, call, place, both.Token);
            call.IsInDoubt = wasInDoubt;
            return answer;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && Failure(exception, call.CanBeSmaller) is { } failure)
        {
            call.IsInDoubt = wasInDoubt || failure.Fate == DeliveryState.Unknown;
            throw failure.Status == HttpStatusCode.TooManyRequests ? TooMany(failure) : failure;
        }
    }

    private async Task<AirtableResponse> SendAsync(HttpClient http, AirtableCall call, IDisposable place, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(call.Method, new Uri(options.Url, "v0/" + call.Path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.Token);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        if (call.Body is not null)
            request.Content = JsonContent.Create(call.Body);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        // It has arrived, however long the rest takes.
        place.Dispose();
        return await AirtableResponse.ReadAsync(response, call.Urgency, clock, cancellationToken);
    }

    /// <returns>Null when it is none of the ways in which a call can fail.</returns>
    private static AirtableException? Failure(Exception exception, bool canBeSmaller) => exception switch
    {
        AirtableException failure => failure,
        HttpRequestException { InnerException: SentBeforeException } => Lost("broke off", isUnconnected: false, exception),
        // The platform's limit for connecting looks like this; nothing of the call has been sent then.
        OperationCanceledException { InnerException: TimeoutException } => Lost("could not be connected to in time", isUnconnected: true, exception),
        OperationCanceledException => Lost("did not answer in time", isUnconnected: false, exception),
        HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } =>
            new AirtableException("answered more than is taken", DeliveryState.Unknown, exception) { IsTooLarge = true, IsPassing = !canBeSmaller },
        HttpRequestException failure when IsUnconnected(failure.HttpRequestError) => Lost("could not be connected to", isUnconnected: true, exception),
        HttpRequestException or IOException => Lost("broke off", isUnconnected: false, exception),
        _ => null,
    };

    private static bool IsUnconnected(HttpRequestError error) => error is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
        or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError;

    private static AirtableException Lost(string problem, bool isUnconnected, Exception inner) =>
        new(problem, isUnconnected ? DeliveryState.NotSent : DeliveryState.Unknown, inner) { IsPassing = true };

    private AirtableException TooMany(AirtableException refusal)
    {
        pace.LockOut(refusal.RetryAfter);
        return new AirtableException(refusal, refusal.Fate) { RetryAfter = pace.LockedFor };
    }
}
