using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mira.TestServers.Airtable;

/// <summary>How an answer goes out, or goes wrong.</summary>
internal sealed class AirtableReplies(AirtableServerOptions options, AirtableFaults faults, CancellationToken end)
{
    private const int Huge = 10 * 1024 * 1024;
    private const string Page = "<!DOCTYPE html><html><head><title>Airtable</title></head><body><h1>Something went wrong</h1></body></html>";

    /// <param name="answer">Carries the call out.</param>
    public async Task SendAsync(HttpContext context, Func<AirtableFault, (int Status, JsonObject Body)> answer, AirtableFault fault)
    {
        context.Response.Headers.Date = options.Clock.GetUtcNow().ToString("R", CultureInfo.InvariantCulture);
        switch (fault)
        {
            case AirtableFault.Error:
                await SendAsync(context, 500, ServerError());
                break;
            case AirtableFault.ErrorAfter:
                answer(fault);
                await SendAsync(context, 500, ServerError());
                break;
            case AirtableFault.Unavailable:
                await SendAsync(context, 503, ServerError());
                break;
            case AirtableFault.UnavailableAfter:
                answer(fault);
                await SendAsync(context, 503, ServerError());
                break;
            case AirtableFault.Silence:
                await HoldAsync(context);
                break;
            case AirtableFault.SilenceAfter:
                answer(fault);
                await HoldAsync(context);
                break;
            case AirtableFault.Reset:
                context.Abort();
                break;
            case AirtableFault.ResetAfter:
                answer(fault);
                context.Abort();
                break;
            case AirtableFault.TruncatedAfter:
                var text = answer(fault).Body.ToJsonString();
                await SendAsync(context, 200, "application/json; charset=utf-8", text[..(text.Length / 2)]);
                break;
            case AirtableFault.HugeAfter:
                var padded = answer(fault).Body;
                padded["padding"] = new string('x', Huge);
                await SendAsync(context, 200, padded);
                break;
            case AirtableFault.HtmlAfter:
                answer(fault);
                await SendAsync(context, 200, "text/html; charset=utf-8", Page);
                break;
            case AirtableFault.BadGateway:
                await SendAsync(context, 502, "text/html; charset=utf-8", Page);
                break;
            case AirtableFault.Redirect:
                context.Response.Headers.Location = new Uri(faults.Elsewhere, context.Request.Path.Value).AbsoluteUri;
                await SendAsync(context, 307, "text/html; charset=utf-8", Page);
                break;
            default:
                var (status, body) = answer(fault);
                if (fault == AirtableFault.Slow)
                    await PassAsync(options.Slowness, context.RequestAborted);
                await SendAsync(context, status, body);
                break;
        }
    }

    private static JsonObject ServerError() => new() { ["error"] = new JsonObject { ["type"] = "SERVER_ERROR", ["message"] = "Server error" } };

    private Task SendAsync(HttpContext context, int status, JsonObject body)
    {
        if (status is 429 or 503 && faults.RetryAfter is { } wait)
            context.Response.Headers.RetryAfter = ((int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        return SendAsync(context, status, "application/json; charset=utf-8", body.ToJsonString());
    }

    private static async Task SendAsync(HttpContext context, int status, string type, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        context.Response.ContentLength = bytes.Length;
        try
        {
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            // The caller is gone.
        }
    }

    private async Task HoldAsync(HttpContext context)
    {
        await PassAsync(options.Hold, context.RequestAborted);
        context.Abort();
    }

    private async Task PassAsync(TimeSpan time, CancellationToken gone)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(gone, end);
        using var timer = new PeriodicTimer(time, options.Clock);
        try
        {
            await timer.WaitForNextTickAsync(over.Token);
        }
        catch (OperationCanceledException)
        {
            // The caller is gone, or the server ends.
        }
    }
}
