using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>A node that remembers as many changes as it can goes on to take new ones.</summary>
internal sealed class RememberedChangesFaultTests
{
    private const int Calls = 60;

    [Test]
    public async Task Two_nodes_that_create_keys_at_once_answer_each_call_and_run_on_past_what_they_remember()
    {
        using var folder = new TestFolder();
        (string, string)[] settings = [.. await SharedStore.NewAsync(), ("Mira__Verification__RememberedChanges", "10")];
        await using var one = MiraProcess.Start(folder, settings);
        await one.WaitUntilReadyAsync();
        await using var other = MiraProcess.Start(folder, settings);
        await other.WaitUntilReadyAsync();

        var tokens = (await Task.WhenAll(CreateAsync(one, folder.Admin), CreateAsync(other, folder.Admin))).SelectMany(made => made).ToList();

        Assert.That(tokens, Has.Count.EqualTo(2 * Calls).And.All.Not.Null);
        foreach (var node in new[] { one, other })
        {
            Assert.That(node.Process.HasExited, Is.False, node.Output);
            using var last = node.Http(tokens[^1]);
            Assert.That((await last.CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("200"));
            using var admin = node.Http(folder.Admin);
            Assert.That((await admin.CallAsync("GET", "/health")).Field("status"), Is.EqualTo("healthy"));
        }
    }

    private static async Task<IReadOnlyList<string?>> CreateAsync(MiraProcess node, string admin)
    {
        using var http = node.Http(admin);
        List<string?> tokens = [];
        while (tokens.Count < Calls)
        {
            var answer = await http.CallAsync("POST", "/api/keys", """{"name":"one of many","role":"viewer"}""");
            // On a busy machine a change may take too long for its transaction. Then it did not happen.
            if (answer.Verdict == "503 audit_unavailable")
                continue;
            Assert.That(answer.Verdict, Is.EqualTo("201"), answer.Text);
            tokens.Add(answer.Field("api_key"));
        }

        return tokens;
    }
}
