using System.Text.RegularExpressions;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.OpenApi;

/// <summary>The page a browser gets.</summary>
internal sealed class SwaggerPageTests : SharedHostTests
{
    [Test]
    public async Task The_bare_address_leads_to_a_page_that_loads_with_all_it_needs()
    {
        var start = await SendAnyAsync("GET", "/");
        Assert.That((start.Status, start.Header("Location")), Is.EqualTo((302, "/swagger/")));

        using var browser = new HttpClient { BaseAddress = Mira.Address };
        using var page = await browser.GetAsync("/");
        Assert.That((int)page.StatusCode, Is.EqualTo(200));
        Assert.That(page.Content.Headers.ContentType?.MediaType, Is.EqualTo("text/html"));
        Assert.That(page.Headers.GetValues("Content-Security-Policy").Single(), Does.Contain("default-src 'none'").And.Contain("frame-ancestors 'none'"));

        var html = await page.Content.ReadAsStringAsync();
        var assets = Regex.Matches(html, "(?:src|href)=\"([^\"]+)\"").Select(match => match.Groups[1].Value).Where(asset => !asset.StartsWith("data:", StringComparison.Ordinal)).ToList();
        Assert.That(assets, Is.Not.Empty);
        foreach (var asset in assets)
        {
            var address = new Uri(page.RequestMessage!.RequestUri!, asset);
            Assert.That(address.Authority, Is.EqualTo(Mira.Address.Authority), "nothing from elsewhere");
            using var answer = await browser.GetAsync(address);
            Assert.That((int)answer.StatusCode, Is.EqualTo(200), asset);
        }

        // The page takes the document's address from its own.
        var document = Uri.UnescapeDataString(page.RequestMessage!.RequestUri!.Query);
        Assert.That(document, Is.EqualTo("?url=/swagger/v1/swagger.json"));
        Assert.That(html, Does.Contain("window.location.search.match(/url="));
        Assert.That((await SendAnyAsync("GET", document["?url=".Length..])).Json.GetProperty("openapi").GetString(), Does.StartWith("3.0"));
    }

    [TestCase("/swagger")]
    [TestCase("/swagger/")]
    [TestCase("/swagger/index.html")]
    public async Task Each_way_to_write_it_ends_there(string path)
    {
        using var browser = new HttpClient { BaseAddress = Mira.Address };
        using var page = await browser.GetAsync(path);
        Assert.That((int)page.StatusCode, Is.EqualTo(200));
        Assert.That(await page.Content.ReadAsStringAsync(), Does.Contain("swagger-ui"));
    }
}
