using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>Tests that share one host: none of them depends on what another leaves behind.</summary>
internal abstract class SharedHostTests
{
    protected const string ValidKey = """{"name":"a key","role":"viewer"}""";

    protected MiraHost Mira { get; private set; } = null!;

    protected virtual bool HoldsClock => false;

    protected virtual (string Name, string Value)[] Settings => [];

    [OneTimeSetUp]
    public void StartHost() => Mira = MiraHost.Start(HoldsClock, configure: Configure, settings: Settings);

    [OneTimeTearDown]
    public async Task StopHost() => await Mira.DisposeAsync();

    protected virtual void Configure(IServiceCollection services)
    {
    }

    /// <summary>Sends one request; the first admin's, when no token is given.</summary>
    protected Task<WireAnswer> SendAsync(
        string method, string path, string? token = null, HttpContent? content = null, params (string Name, string Value)[] headers) =>
        SendAnyAsync(method, path, [("Authorization", $"Bearer {token ?? Mira.Admin}"), .. headers], content);

    /// <summary>Sends one request that bears no credential but those among its headers.</summary>
    protected async Task<WireAnswer> SendAnyAsync(
        string method, string path, IEnumerable<(string Name, string Value)>? headers = null, HttpContent? content = null)
    {
        using var client = new HttpClient(new DescribedAnswersHandler()) { BaseAddress = Mira.Address };
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = content };
        foreach (var (name, value) in headers ?? [])
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
                request.Content!.Headers.TryAddWithoutValidation(name, value);
        }

        return await WireAnswer.OfAsync(client.SendAsync(request));
    }

    protected Task<WireAnswer> PostAsync(string path, string json, string? token = null) =>
        SendAsync("POST", path, token, MiraHost.Json(json));

    protected Task<WireAnswer> PatchAsync(string token, string json) =>
        SendAsync("PATCH", $"/api/keys/{MiraHost.IdOf(token)}", content: MiraHost.Json(json));

    protected Task<WireAnswer> SendRawAsync(string head, string body = "") =>
        RawHttp.SendAsync(Mira.Address, head.ReplaceLineEndings("\n").Split('\n'), Encoding.UTF8.GetBytes(body));

    protected async Task<int> CountKeysAsync() => (await SendAsync("GET", "/api/keys?limit=200")).Json.GetProperty("keys").GetArrayLength();
}
