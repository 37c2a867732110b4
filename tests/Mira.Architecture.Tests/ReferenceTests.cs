using System.Reflection;
using Mira.Architecture.Tests.Compiled;
using Mira.Architecture.Tests.Sources;

namespace Mira.Architecture.Tests;

/// <summary>
/// Dependencies point inward. What a project may reference is listed here; a new reference is a decision, not an
/// accident.
/// </summary>
internal sealed class ReferenceTests
{
    private static readonly Dictionary<string, string[]> Projects = new()
    {
        ["Mira.Domain"] = [],
        ["Mira.Application"] = ["Mira.Domain"],
        ["Mira.Infrastructure"] = ["Mira.Application"],
        ["Mira.Web"] = ["Mira.Application", "Mira.Infrastructure"],
        ["Mira.Client"] = [],
    };

    /// <summary>A star stands for a family.</summary>
    private static readonly Dictionary<string, string[]> Packages = new()
    {
        ["Mira.Domain"] = [],
        ["Mira.Application"] =
        [
            "AutoMapper", "BitFaster.Caching", "FluentValidation", "MediatR", "Microsoft.Extensions.Hosting.Abstractions", "Microsoft.IdentityModel.JsonWebTokens",
        ],
        ["Mira.Infrastructure"] =
        [
            "Microsoft.EntityFrameworkCore.*", "Npgsql*", "Microsoft.Extensions.Caching.StackExchangeRedis", "StackExchange.Redis",
            "Polly*", "Microsoft.Extensions.Http.*",
        ],
        ["Mira.Web"] = ["Microsoft.AspNetCore.OpenApi", "NJsonSchema.NewtonsoftJson", "NSwag.AspNetCore", "System.CommandLine", "OpenTelemetry.*"],
        ["Mira.Client"] = ["NSwag.MSBuild"],
    };

    [Test]
    public void A_project_references_only_what_it_may() => Rule.Holds(
        ForbiddenReferences,
        [.. Repository.BuildFiles.Where(file => file.Path.StartsWith("src/", StringComparison.Ordinal))],
        planted:
        [
            Project("Mira.Domain", "<ProjectReference Include=\"../Mira.Application/Mira.Application.csproj\" />"),
            Project("Mira.Domain", "<PackageReference Include=\"MediatR\" />"),
            Project("Mira.Domain", "<FrameworkReference Include=\"Microsoft.AspNetCore.App\" />"),
            Project("Mira.Application", "<ProjectReference Include=\"..\\Mira.Infrastructure\\Mira.Infrastructure.csproj\" />"),
            Project("Mira.Application", "<PackageReference Include=\"Microsoft.EntityFrameworkCore.Sqlite\" />"),
            Project("Mira.Application", "<FrameworkReference Include=\"Microsoft.AspNetCore.App\" />"),
            Project("Mira.Infrastructure", "<ProjectReference Include=\"../Mira.Web/Mira.Web.csproj\" />"),
            Project("Mira.Client", "<ProjectReference Include=\"../Mira.Domain/Mira.Domain.csproj\" />"),
            Project("Mira.Client", "<Compile Include=\"../Mira.Domain/Keys/KeyId.cs\" />"),
            Project("Mira.Client", "<Reference Include=\"Mira.Domain\" />"),
            Project("Mira.Unlisted", ""),
        ],
        Project("Mira.Application", "<ProjectReference Include=\"../Mira.Domain/Mira.Domain.csproj\" />"));

    [Test]
    public void A_compiled_assembly_references_only_what_its_project_may() => Rule.Holds(
        ForbiddenAssemblies,
        [.. Assemblies.Written.Append(Assemblies.Client).Select(AssemblyReferences.Of)],
        planted:
        [
            new AssemblyReferences("Mira.Domain", ["System.Runtime", "Microsoft.Extensions.Logging.Abstractions"]),
            new AssemblyReferences("Mira.Domain", ["Mira.Application"]),
            new AssemblyReferences("Mira.Application", ["Mira.Domain", "Mira.Infrastructure"]),
            new AssemblyReferences("Mira.Application", ["Microsoft.AspNetCore.Http.Abstractions"]),
            new AssemblyReferences("Mira.Infrastructure", ["Mira.Web"]),
            new AssemblyReferences("Mira.Client", ["Mira.Domain"]),
        ],
        new AssemblyReferences("Mira.Application", ["System.Runtime", "Mira.Domain", "MediatR"]));

    [Test]
    public void Only_Program_names_Infrastructure_in_its_text() => Rule.Holds(
        file => file.Name == "Program.cs" ? [] : file.Report(file.Code, new(@"\bInfrastructure\s*\."), "names Infrastructure")
            .Concat(file.Report(file.Code, new(@"\bMira\s*\.\s*Infrastructure\b"), "names Infrastructure")),
        Repository.CodeIn("src/Mira.Web"),
        planted:
        [
            new SourceFile("src/Mira.Web/Keys/Planted.cs", "using Mira.Infrastructure;"),
            new SourceFile("src/Mira.Web/Keys/Planted.cs", "var folder = Infrastructure.Files.DataFolder.At(path);"),
        ],
        new SourceFile("src/Mira.Web/Keys/Planted.cs", "// Mira.Infrastructure is named in Program alone."));

    [Test]
    public void Only_Program_names_Infrastructure_when_compiled() => Rule.Holds(
        type => type.Naming("Mira.Infrastructure"),
        [.. Assemblies.TypesOf(Assemblies.Web).Where(type => type.Name != "Program" && !type.Name.StartsWith("Program+", StringComparison.Ordinal))],
        Assemblies.Planted(typeof(Planted.NamesInfrastructure)));

    private static SourceFile Project(string name, string item) =>
        new($"src/{name}/{name}.csproj", $"<Project><ItemGroup>{item}</ItemGroup></Project>");

    private static IEnumerable<string> ForbiddenReferences(SourceFile project)
    {
        var name = Path.GetFileNameWithoutExtension(project.Name);
        if (!Projects.TryGetValue(name, out var projects))
            return [$"{name} has no row in the lists of this test"];

        var references = project.Xml.Descendants().Select(item => (Kind: item.Name.LocalName, Value: (string?)item.Attribute("Include") ?? ""));
        return references.Where(item => !IsAllowed(item.Kind, item.Value)).Select(item => $"{name} has a {item.Kind} of {item.Value}");

        bool IsAllowed(string kind, string value) => kind switch
        {
            "ProjectReference" => projects.Contains(Path.GetFileNameWithoutExtension(value.Replace('\\', '/'))),
            "PackageReference" => Packages[name].Any(package => Matches(package, value)),
            "FrameworkReference" => name is "Mira.Infrastructure" or "Mira.Web",
            "Compile" => !value.Contains("..", StringComparison.Ordinal),
            "Reference" => false,
            _ => true,
        };
    }

    private static bool Matches(string package, string value) =>
        package.EndsWith('*') ? value.StartsWith(package.TrimEnd('*'), StringComparison.Ordinal) : package == value;

    private static IEnumerable<string> ForbiddenAssemblies(AssemblyReferences assembly) => assembly.References
        .Where(reference => reference.StartsWith("Mira.", StringComparison.Ordinal)
            ? !Projects[assembly.Name].Contains(reference) && !Projects[assembly.Name].Any(middle => Projects[middle].Contains(reference))
            : assembly.Name switch
            {
                "Mira.Domain" or "Mira.Client" => !reference.StartsWith("System.", StringComparison.Ordinal),
                "Mira.Application" => reference.StartsWith("Microsoft.AspNetCore.", StringComparison.Ordinal) || reference.StartsWith("Microsoft.EntityFrameworkCore", StringComparison.Ordinal),
                _ => false,
            })
        .Select(reference => $"{assembly.Name} is compiled against {reference}");

    private sealed record AssemblyReferences(string Name, IReadOnlyList<string> References)
    {
        public static AssemblyReferences Of(Assembly assembly) =>
            new(assembly.GetName().Name!, [.. assembly.GetReferencedAssemblies().Select(reference => reference.Name!)]);

        public override string ToString() => $"{Name} → {string.Join(", ", References)}";
    }
}
