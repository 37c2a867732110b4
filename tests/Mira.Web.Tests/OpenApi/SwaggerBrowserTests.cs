using Microsoft.Playwright;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.OpenApi;

/// <summary>The interactive page in a real browser.</summary>
internal sealed class SwaggerBrowserTests
{
    [Test]
    public async Task A_browser_is_sent_to_a_page_where_a_key_can_be_tried()
    {
        await using var mira = MiraHost.Start();
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = "/usr/bin/chromium",
            Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        });
        var page = await browser.NewPageAsync();
        var errors = new List<string>();
        page.Console += (_, message) => errors.AddRange(message.Type == "error" ? [message.Text] : []);
        page.PageError += (_, error) => errors.Add(error);

        await page.GotoAsync(mira.Address.ToString());
        await page.Locator("button.authorize").ClickAsync();
        await page.GetByLabel("auth-bearer-value").FillAsync(mira.Admin);
        await page.Locator(".auth-btn-wrapper button.authorize").ClickAsync();
        await page.Locator(".auth-btn-wrapper button.btn-done").ClickAsync();
        var operation = page.Locator("#operations-Verification-ValidateKey");
        await operation.Locator("button.opblock-summary-control").ClickAsync();
        await operation.Locator("button.try-out__btn").ClickAsync();
        await operation.Locator("button.execute").ClickAsync();

        var answer = operation.Locator(".live-responses-table");
        await Assertions.Expect(answer.Locator(".response-col_status").Last).ToContainTextAsync("200");
        await Assertions.Expect(answer).ToContainTextAsync(MiraHost.IdOf(mira.Admin));
        Assert.That(errors, Is.Empty);
    }
}
