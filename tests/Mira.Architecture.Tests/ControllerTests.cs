using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.Routing;
using Mira.Architecture.Tests.Compiled;
using Mira.Architecture.Tests.Sources;
using Mira.Web.Requests;

namespace Mira.Architecture.Tests;

/// <summary>
/// A controller's action is its policy, one message and its answer; whatever is decided is decided elsewhere.
/// </summary>
internal sealed partial class ControllerTests
{
    [Test]
    public void An_action_decides_nothing() => Rule.Holds(
        action => action.Reports(@"\b(if|for|foreach|while|try|goto)\b", "decides"),
        Actions(Repository.CodeIn("src/Mira.Web")),
        planted:
        [
            .. Actions([Controller("public IActionResult Get() { if (Request.Body is null) return Ok(); return NotFound(); }")]),
            .. Actions([Controller("public async Task<ActionResult<Dictionary<string, int>>> Get([FromQuery(Name = \"a\")] string? a = \")\")\n{ try { return Ok(); } finally { } }")]),
            .. Actions([Controller("public Task<IActionResult> Get() => Run(() => { foreach (var a in b) { } return Ok(); });")]),
        ],
        [.. Actions([Controller("// if\npublic IActionResult Get() => Ok(\"if (a)\");\nprivate int Size() { if (a) return 1; return 2; }")])]);

    [Test]
    public void An_action_sends_at_most_one_message() => Rule.Holds(
        action => Regex.Count(action.Body, @"\.\s*(Send|Publish)\s*(<\w+>)?\s*\(") > 1 ? [$"{action.Name} sends more than one message"] : [],
        Actions(Repository.CodeIn("src/Mira.Web")),
        planted: Actions([Controller("public async Task<IActionResult> Get() { await mediator.Send(a); return Ok(await mediator\n.Send(b)); }")]));

    [Test]
    public void Every_endpoint_says_who_may_call_it() => Rule.Holds(
        action => IsPublic(action) || PoliciesOf(action).Any(rule => rule.Policy is not null) ? [] : [$"{action.DeclaringType!.Name}.{action.Name} has no policy"],
        [.. Endpoints(Assemblies.Web), .. Assemblies.Web.GetTypes().SelectMany(type => type.GetMethods()).Where(method => method.IsDefined(typeof(ApiCallAttribute)))],
        planted: [.. Endpoints(typeof(ControllerTests).Assembly)]);

    [Test]
    public void Every_endpoint_is_looked_at() =>
        Assert.That(Actions(Repository.CodeIn("src/Mira.Web")).Select(action => action.Name), Is.SupersetOf(Endpoints(Assemblies.Web).Select(action => action.Name)));

    private static IEnumerable<MethodInfo> Endpoints(Assembly assembly) => assembly.GetTypes()
        .Where(typeof(ControllerBase).IsAssignableFrom)
        .SelectMany(type => type.GetMethods(BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly))
        .Where(method => method.GetCustomAttributes().Any(attribute => attribute is IRouteTemplateProvider));

    private static bool IsPublic(MethodInfo action) =>
        action.GetCustomAttributes().Concat(action.DeclaringType!.GetCustomAttributes()).Any(attribute => attribute is IAllowAnonymous);

    private static IEnumerable<IAuthorizeData> PoliciesOf(MethodInfo action) =>
        action.GetCustomAttributes().Concat(action.DeclaringType!.GetCustomAttributes()).OfType<IAuthorizeData>();

    private static SourceFile Controller(string member) =>
        new("src/Mira.Web/Controllers/PlantedController.cs", $"public sealed class PlantedController : ControllerBase\n{{\n    {member}\n}}");

    private static ActionSource[] Actions(IEnumerable<SourceFile> files) =>
    [
        .. from file in files
           from controller in ControllerClass().Matches(file.Code)
           let body = Enclosed(file.Code, controller.Index)
           from method in PublicMethod().Matches(body)
           select new ActionSource(method.Groups[1].Value, BodyOf(body, method.Index + method.Length)),
    ];

    /// <summary>From the first opening brace to the one that closes it.</summary>
    private static string Enclosed(string code, int from)
    {
        var start = code.IndexOf('{', from);
        var depth = 0;
        for (var end = start; end < code.Length; end++)
        {
            depth += code[end] switch { '{' => 1, '}' => -1, _ => 0 };
            if (depth == 0)
                return code[start..(end + 1)];
        }

        throw new FormatException("A brace is not closed.");
    }

    private static string BodyOf(string code, int parameters)
    {
        var depth = 1;
        var at = parameters;
        for (; depth > 0; at++)
            depth += code[at] switch { '(' => 1, ')' => -1, _ => 0 };

        var isExpression = code.AsSpan(at).TrimStart().StartsWith("=>");
        if (!isExpression)
            return Enclosed(code, at);

        // To the semicolon outside of any braces: those inside belong to a lambda.
        for (var end = at; ; end++)
        {
            depth += code[end] switch { '{' => 1, '}' => -1, _ => 0 };
            if (depth == 0 && code[end] == ';')
                return code[at..end];
        }
    }

    [GeneratedRegex(@"\bclass\s+\w+Controller\b")]
    private static partial Regex ControllerClass();

    [GeneratedRegex(@"\bpublic\s+(?:(?:async|virtual|override|static)\s+)*[\w.<>?\[\], ]+?\s(\w+)\s*\(")]
    private static partial Regex PublicMethod();

    private sealed record ActionSource(string Name, string Body)
    {
        public IEnumerable<string> Reports(string pattern, string problem) => Regex.Matches(Body, pattern).Select(match => $"{Name} {problem}: {match.Value}");
    }
}
