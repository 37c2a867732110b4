using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>Digests are compared in one place, in fixed time.</summary>
internal sealed class DigestTests
{
    private const string Home = "src/Mira.Domain/Tokens/Digest.cs";

    private static readonly string[] Callers =
    [
        "src/Mira.Domain/Keys/Secret.cs",
        "src/Mira.Domain/Tokens/MacKey.cs",
        "src/Mira.Domain/Tokens/PepperRing.cs",
        "src/Mira.Infrastructure/Sql/MiraDbContext.cs",
        "src/Mira.Infrastructure/Sql/SqlUsageStore.cs",
    ];

    [Test]
    public void One_place_compares_in_fixed_time() => Rule.Holds(
        file => file.Path == Home ? [] : file.Report(file.Code, new(@"\bCryptographicOperations\b|\bFixedTimeEquals\b(?<!\bDigest\s*\.\s*FixedTimeEquals)"), "a comparison of its own"),
        Repository.CodeIn("src"),
        planted:
        [
            new SourceFile("src/Mira.Domain/Keys/Secret.cs", "return CryptographicOperations.FixedTimeEquals(left, right);"),
            new SourceFile("src/Mira.Domain/Keys/Secret.cs", "using static System.Security.Cryptography.CryptographicOperations;"),
            new SourceFile("src/Mira.Web/Keys/Planted.cs", "return FixedTimeEquals(left, right);"),
        ],
        new SourceFile("src/Mira.Domain/Keys/Secret.cs", "return Tokens.Digest.FixedTimeEquals(left, right);"));

    [Test]
    public void Few_ask_it() => Rule.Holds(
        file => file.Path == Home || Callers.Contains(file.Path) ? [] : file.Report(file.Code, new(@"\bFixedTimeEquals\b"), "compares digests"),
        Repository.CodeIn("src"),
        planted: [new SourceFile("src/Mira.Web/Keys/Planted.cs", "return Digest.FixedTimeEquals(left, right);")],
        new SourceFile(Callers[0], "return Digest.FixedTimeEquals(left, right);"));

    [Test]
    public void It_is_where_it_is_looked_for() => Assert.That(
        Repository.CodeIn("src").Where(file => file.Code.Contains("FixedTimeEquals", StringComparison.Ordinal)).Select(file => file.Path),
        Is.EquivalentTo([Home, .. Callers]));
}
