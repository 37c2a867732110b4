using System.Text.RegularExpressions;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Tokens;

public partial class TokenTests
{
    // Its checksum and hash were computed with Python's zlib and hashlib.
    public const string Worked = "mira_key_4fZq0TbLw9Xe_Jw3uVx0aPq7RkZ2mN5sT8yB1cD4eF6gH9iKlMnOoQrS10Hqia";

    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    [Holds(200)]
    public void A_token_has_71_characters_of_the_one_form() =>
        Assert.That(Token.Generate(KeyId.Generate()).Reveal(), Does.Match(Form()).And.Length.EqualTo(71));

    [Holds(200)]
    public bool A_token_is_read_as_it_was_written()
    {
        var id = KeyId.Generate();
        var token = Token.Generate(id);
        return Token.TryParse(token.Reveal(), out var read) && read.Reveal() == token.Reveal() && read.KeyId == id;
    }

    [Test]
    public void The_worked_example_is_a_token()
    {
        Assert.That(Token.TryParse(Worked, out var token));
        Assert.That(token.KeyId.Value, Is.EqualTo("mira_key_4fZq0TbLw9Xe"));

        var hash = new byte[32];
        token.Hash(hash);
        Assert.That(Convert.ToHexStringLower(hash), Is.EqualTo("2352826264679706ee3ac4b5cb0a3c3ffff8ef1f4e380fe02622785851526e0b"));
    }

    [Test]
    public void Every_token_with_one_other_character_is_refused()
    {
        var text = Token.Generate(KeyId.Generate()).Reveal();
        var others = Enumerable.Range(0, 256).Select(code => (char)code).Append('０').Append('Ａ').Append((char)(text[30] + 256)).ToList();
        for (var i = 0; i < text.Length; i++)
        {
            foreach (var other in others)
            {
                var mutated = text[..i] + other + text[(i + 1)..];
                Assert.That(Token.TryParse(mutated, out _), Is.EqualTo(other == text[i]), $"{(int)other:x} at {i} of {text}");
            }
        }
    }

    [Test]
    public void Two_neighbouring_characters_cannot_change_places()
    {
        var text = Token.Generate(KeyId.Generate()).Reveal();
        for (var i = 0; i + 1 < text.Length; i++)
        {
            var mutated = text[..i] + text[i + 1] + text[i] + text[(i + 2)..];
            Assert.That(Token.TryParse(mutated, out _), Is.EqualTo(mutated == text), mutated);
        }
    }

    [Holds(1000)]
    public bool Random_text_is_refused(string? text) => !Token.TryParse(text, out _);

    [Holds(1000)]
    public bool Random_text_of_the_right_shape_is_refused() => !Token.TryParse($"{KeyId.Generate()}_{Base62.Random(49)}", out _);

    [Test]
    public void A_checksum_of_the_same_number_in_other_characters_is_refused()
    {
        // The checksum's number plus 2^32 has six characters too, and is the same in 32 bits.
        Assert.That(Token.TryParse(Worked[..65] + "5gx5ue", out _), Is.False);
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("mira_key_")]
    [TestCase("mira_key_4fZq0TbLw9Xe")]
    [TestCase(" " + Worked)]
    [TestCase(Worked + " ")]
    [TestCase(Worked + "\n")]
    [TestCase(Worked + "0")]
    [TestCase("Bearer " + Worked)]
    public void Nothing_may_stand_around_a_token_and_nothing_be_missing(string? text)
    {
        Assert.That(Token.TryParse(text, out var token), Is.False);
        Assert.That(token.Reveal(), Is.Null);
    }

    [Test]
    public void Another_case_is_another_text()
    {
        Assert.That(Token.TryParse(Worked.ToUpperInvariant(), out _), Is.False);
        Assert.That(Token.TryParse("MIRA_KEY_" + Worked[9..], out _), Is.False);
    }

    [Test]
    public void A_right_checksum_does_not_excuse_another_form()
    {
        Assert.That(Token.TryParse(WithChecksum("nira_key_4fZq0TbLw9Xe_Jw3uVx0aPq7RkZ2mN5sT8yB1cD4eF6gH9iKlMnOoQrS"), out _), Is.False, "prefix");
        Assert.That(Token.TryParse(WithChecksum("mira_key_4fZq0TbLw9X-_Jw3uVx0aPq7RkZ2mN5sT8yB1cD4eF6gH9iKlMnOoQrS"), out _), Is.False, "id");
        Assert.That(Token.TryParse(WithChecksum("mira_key_4fZq0TbLw9XexJw3uVx0aPq7RkZ2mN5sT8yB1cD4eF6gH9iKlMnOoQrS"), out _), Is.False, "separator");
        Assert.That(Token.TryParse(WithChecksum("mira_key_4fZq0TbLw9Xe_Jw3uVx0aPq7RkZ2mN5sT8yB1cD4eF6gH9iKlMnOoQr-"), out _), Is.False, "secret");
        Assert.That(WithChecksum(Worked[..65]), Is.EqualTo(Worked), "or this test would prove nothing");
    }

    [Test]
    public void A_token_masks_itself()
    {
        Assert.That(Token.TryParse(Worked, out var token));

        Assert.That(token.ToString(), Is.EqualTo("mira_key_4fZq0TbLw9Xe_***"));
        Assert.That($"{token}", Does.Not.Contain(Worked[22..]));
        Assert.That(default(Token).ToString(), Is.Empty);
    }

    [Test]
    public void The_characters_of_secrets_and_ids_are_unbiased()
    {
        var secrets = string.Concat(Enumerable.Range(0, Rounds.Of(3000)).Select(_ => Token.Generate(KeyId.Generate()).Reveal()[22..65]));
        var ids = string.Concat(Enumerable.Range(0, Rounds.Of(10_000)).Select(_ => KeyId.Generate().Value[9..]));

        Assert.That(ChiSquared(secrets), Is.LessThan(Suspicious));
        Assert.That(ChiSquared(ids), Is.LessThan(Suspicious));
    }

    [Test]
    public void The_measure_of_bias_finds_a_byte_taken_modulo_62()
    {
        var bytes = Enumerable.Range(0, 129_000).Select(i => i % 256);

        Assert.That(ChiSquared(string.Concat(bytes.Select(value => Alphabet[value % 62]))), Is.GreaterThan(Suspicious));
    }

    [Test]
    public void No_two_tokens_are_the_same() =>
        Assert.That(Enumerable.Range(0, 1000).Select(_ => Token.Generate(KeyId.Generate()).Reveal()), Is.Unique);

    // Of 61 degrees of freedom: fair characters come above it less than once in 10^9 runs.
    private const double Suspicious = 160;

    private static double ChiSquared(string text)
    {
        var expected = text.Length / (double)Alphabet.Length;
        return Alphabet.Sum(character => Math.Pow(text.Count(other => other == character) - expected, 2) / expected);
    }

    private static string WithChecksum(string body)
    {
        var checksum = new char[6];
        Base62.Write(Crc32.Of(body), checksum);
        return body + new string(checksum);
    }

    [GeneratedRegex(@"\Amira_key_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}\z")]
    private static partial Regex Form();
}

public class KeyIdTests
{
    [Test]
    public void An_id_is_read_as_it_was_written()
    {
        var id = KeyId.Generate();

        Assert.That(KeyId.TryParse(id.Value, out var read));
        Assert.That(read, Is.EqualTo(id));
        Assert.That(id.ToString(), Is.EqualTo(id.Value).And.Length.EqualTo(21).And.StartsWith("mira_key_"));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("mira_key_4fZq0TbLw9X")]
    [TestCase("mira_key_4fZq0TbLw9Xe0")]
    [TestCase("mira_key_4fZq0TbLw9X_")]
    [TestCase("mira_key_4fZq0TbLw9Xé")]
    [TestCase("Mira_key_4fZq0TbLw9Xe")]
    [TestCase("mira-key-4fZq0TbLw9Xe")]
    [TestCase(" mira_key_4fZq0TbLw9X")]
    [TestCase(TokenTests.Worked)]
    public void Nothing_else_is_an_id(string? text)
    {
        Assert.That(KeyId.TryParse(text, out var id), Is.False);
        Assert.That(id, Is.EqualTo(default(KeyId)));
    }
}

public class Crc32Tests
{
    [TestCase("", 0u)]
    [TestCase("123456789", 0xCBF43926u)]
    [TestCase("The quick brown fox jumps over the lazy dog", 0x414FA339u)]
    public void It_is_the_checksum_of_IEEE_802_3(string text, uint expected) => Assert.That(Crc32.Of(text), Is.EqualTo(expected));
}

public class Base62Tests
{
    [TestCase(0u, "000000")]
    [TestCase(9u, "000009")]
    [TestCase(10u, "00000A")]
    [TestCase(36u, "00000a")]
    [TestCase(61u, "00000z")]
    [TestCase(62u, "000010")]
    [TestCase(uint.MaxValue, "4gfFC3")]
    public void A_number_is_written_with_zeros_before_it(uint value, string expected)
    {
        var text = new char[6];
        Base62.Write(value, text);

        Assert.That(new string(text), Is.EqualTo(expected));
    }

    [TestCase("", true)]
    [TestCase("0189AZaz", true)]
    [TestCase("a_b", false)]
    [TestCase("a-b", false)]
    [TestCase("é", false)]
    [TestCase("/", false)]
    [TestCase(":", false)]
    [TestCase("@", false)]
    [TestCase("[", false)]
    [TestCase("`", false)]
    [TestCase("{", false)]
    public void Only_digits_and_latin_letters_are_text(string text, bool expected) => Assert.That(Base62.IsText(text), Is.EqualTo(expected));
}
