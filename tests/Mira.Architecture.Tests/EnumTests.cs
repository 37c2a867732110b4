using System.Text.RegularExpressions;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>
/// A new member of an enum is noticed: no switch treats it like some other member because it has a default arm.
/// </summary>
internal sealed partial class EnumTests
{
    private static readonly HashSet<string> Enums =
        [.. Repository.CodeIn("src").SelectMany(file => EnumDeclaration().Matches(file.Code)).Select(match => match.Groups[1].Value), "Planted"];

    [Test]
    public void A_switch_over_an_enum_names_every_member_and_has_no_default_arm() => Rule.Holds(
        DefaultArms,
        Repository.CodeIn("src"),
        planted:
        [
            Source("int Of(Planted one) => one switch { Planted.A => 1, _ => 2 };"),
            Source("int Of(Planted one) => one switch { Planted.A or Planted.B => (1, _ => 2).Item1, _ => throw new E() };"),
            Source("void Of(Planted one) { switch (one) { case Planted.A: Do(); break; default: Do(); break; } }"),
            Source("int Of(Planted one) => one switch { Planted.A when Is(x => x) => 1, Planted.B => 2, _ => 3 };"),
        ],
        Source("int Of(Planted one) => one switch { Planted.A => 1, Planted.B => Calls(_ => 2) };"),
        Source("int Of(string one) => one switch { \"a\" => (int)Planted.A, _ => 2 };"),
        Source("int Of(object one) => one switch { Other.A => 1, _ => 2 };"),
        Source("void Of(Planted one) { switch (one) { case Planted.A: Do(); break; case Planted.B: Do(); break; } }"));

    [Test]
    public void There_are_enums_to_look_at() => Assert.That(Enums, Does.Contain("Role").And.Contain("VerdictCode").And.Contain("KeyStatus"));

    private static IEnumerable<string> DefaultArms(SourceFile file) =>
        from opening in Switch().Matches(file.Code)
        let body = BodyOf(file.Code, opening.Index + opening.Length)
        where FirstOfArm().Matches(body).Any(arm => Enums.Contains(arm.Groups[1].Value)) && DefaultArm().IsMatch(body)
        select $"{file.Path}:{file.Code.AsSpan(0, opening.Index).Count('\n') + 1}: a switch over an enum has a default arm";

    // The arms themselves: what is in brackets or braces within them is left out.
    private static string BodyOf(string code, int start)
    {
        var depth = 0;
        var body = new System.Text.StringBuilder("{");
        for (var at = start; at < code.Length; at++)
        {
            if (code[at] is '}' or ')' && depth-- == 0)
                break;
            if (depth == 0)
                body.Append(code[at]);
            if (code[at] is '{' or '(')
                depth++;
        }

        return body.ToString();
    }

    private static SourceFile Source(string text) => new("src/Mira.Domain/Keys/Planted.cs", text);

    [GeneratedRegex(@"\benum\s+(\w+)")]
    private static partial Regex EnumDeclaration();

    [GeneratedRegex(@"\bswitch\s*(?:\([^{}]*?\)\s*)?\{")]
    private static partial Regex Switch();

    [GeneratedRegex(@"(?:[{,]\s*|\bcase\s+)(\w+)\.\w+\b[^,;]*?(?:=>|:)")]
    private static partial Regex FirstOfArm();

    [GeneratedRegex(@"(?:[{,]\s*_\s*=>)|\bdefault\s*:")]
    private static partial Regex DefaultArm();
}
