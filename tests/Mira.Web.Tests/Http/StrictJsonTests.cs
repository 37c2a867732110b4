using System.Text;
using System.Text.Json;
using Mira.Application.Keys;
using Mira.Web.Endpoints;
using Mira.Web.Json;
using Mira.Web.Problems;

namespace Mira.Web.Tests.Http;

/// <summary>
/// Reading a body at once lets nothing pass that looking it over first refuses, and says the same of what it refuses.
/// </summary>
internal sealed class StrictJsonTests
{
    private const int Seed = 20_300_102;

    private static readonly string[] Questions =
    [
        """{"api_key":"mira_key_a","permissions":["documents:read","a:b"],"ip":"10.1.2.3","cost":12}""",
        """{"api_key":"\u0061\ud83d\udd11","cost":null,"permissions":null}""",
        """{ "cost" : 99999999999 , "ip" : "::1" }""",
        "{}",
    ];

    private static readonly string[] Fragments =
    [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800", "null", "true", "-", "1e9", ".5", "\"api_key\":\"b\",", "\"API_KEY\":1,", "\"address\":{},",
        "\"demand\":null,", "/**/", "\u0001", "\uFEFF", "[[[[[[[[[[[[[[[[", "{\"a\":{\"a\":1}}", "é",
    ];

    private static readonly int Repetitions = Rounds.Of(20_000);

    [Test]
    public void Both_ways_of_reading_take_and_refuse_the_same()
    {
        var random = new Random(Seed);
        var seen = new HashSet<string>();
        for (var round = 0; round < Repetitions; round++)
        {
            var bytes = Mutate(Questions[random.Next(Questions.Length)], random);
            var atOnce = OutcomeOf(() => StrictJson.ReadAtOnce(bytes, VerifyKeyJson.Type));
            var lookedOver = OutcomeOf(() => (VerifyKey)StrictJson.Read(bytes, JsonSetup.Options.GetTypeInfo(typeof(VerifyKey))));
            Assert.That(atOnce, Is.EqualTo(lookedOver), () => $"Round {round} of seed {Seed}: {Encoding.Latin1.GetString(bytes)}");
            seen.Add(atOnce.Split(' ')[0]);
        }

        Assert.That(seen, Is.EquivalentTo(new[] { "read", "malformed_json", "unknown_property", "duplicate_property" }), "mutations that reach every answer");
    }

    private static byte[] Mutate(string question, Random random)
    {
        var text = new List<byte>(Encoding.UTF8.GetBytes(question));
        for (var mutations = random.Next(0, 4); mutations > 0 && text.Count > 0; mutations--)
        {
            var at = random.Next(text.Count);
            var length = Math.Min(random.Next(1, 12), text.Count - at);
            switch (random.Next(4))
            {
                case 0:
                    text[at] = (byte)random.Next(256);
                    break;
                case 1:
                    text.RemoveRange(at, length);
                    break;
                case 2:
                    text.InsertRange(at, text.GetRange(at, length));
                    break;
                default:
                    text.InsertRange(at, Encoding.UTF8.GetBytes(Fragments[random.Next(Fragments.Length)]));
                    break;
            }
        }

        return [.. text];
    }

    private static string OutcomeOf(Func<VerifyKey> read)
    {
        try
        {
            return $"read {JsonSerializer.Serialize(read(), JsonSetup.Options)}";
        }
        catch (ProblemException refused)
        {
            var problem = refused.Problem;
            return $"{problem.Kind.Code} {problem.Detail} {JsonSerializer.Serialize(problem.Errors)}";
        }
    }
}
