using ArchUnitNET.Domain;
using ArchUnitNET.Loader;
using Mira.Application.Verification;
using Mira.Client;
using Mira.Domain.Keys;
using Assembly = System.Reflection.Assembly;

namespace Mira.Architecture.Tests.Compiled;

/// <summary>
/// A compiled type and all types it names: in signatures, bodies, lambdas, attributes and type arguments.
/// </summary>
internal sealed record TypeUse(string Name, IReadOnlyCollection<string> Targets)
{
    /// <summary>What is wrong with it when it may not name what lies in these namespaces.</summary>
    public IEnumerable<string> Naming(params string[] namespaces) =>
        Targets.Where(target => namespaces.Any(forbidden => IsIn(target, forbidden))).Select(target => $"{Name} names {target}");

    /// <summary>What is wrong with it when it may name nothing but what lies in these namespaces.</summary>
    public IEnumerable<string> NamingOtherThan(params string[] namespaces) =>
        Targets.Where(target => !namespaces.Any(allowed => IsIn(target, allowed))).Select(target => $"{Name} names {target}");

    public bool IsIn(string space) => IsIn(Name, space);

    public override string ToString() => Name;

    private static bool IsIn(string type, string space) => type.StartsWith(space + ".", StringComparison.Ordinal);
}

/// <summary>The assemblies of src, and this one for the planted types.</summary>
internal static class Assemblies
{
    public static readonly Assembly Domain = typeof(ApiKey).Assembly;
    public static readonly Assembly Application = typeof(IKeyStore).Assembly;
    public static readonly Assembly Infrastructure = typeof(Infrastructure.Registration).Assembly;
    public static readonly Assembly Web = typeof(Program).Assembly;
    public static readonly Assembly Client = typeof(MiraClient).Assembly;

    /// <summary>Those whose code a person writes.</summary>
    public static readonly Assembly[] Written = [Domain, Application, Infrastructure, Web];

    private static readonly Dictionary<string, TypeUse[]> Uses = Load();

    public static IReadOnlyList<TypeUse> TypesOf(Assembly assembly) => Uses[assembly.GetName().Name!];

    public static IReadOnlyList<TypeUse> TypesIn(Assembly assembly, string space) => [.. TypesOf(assembly).Where(type => type.IsIn(space))];

    /// <summary>The types that stand inside this class, which breaks rules on purpose.</summary>
    public static TypeUse[] Planted(System.Type holder) =>
        [.. TypesOf(typeof(Assemblies).Assembly).Where(type => type.Name.StartsWith(holder.FullName + "+", StringComparison.Ordinal))];

    private static Dictionary<string, TypeUse[]> Load() => new ArchLoader()
        .LoadAssemblies([.. Written, typeof(Assemblies).Assembly])
        .Build()
        .Types
        .GroupBy(type => type.Assembly.Name.Split(',')[0])
        .ToDictionary(
            types => types.Key,
            types => types.Select(type => new TypeUse(type.FullName, [.. TargetsOf(type)])).ToArray());

    // A type parameter is no type, and is found under any type that has one of its name.
    private static IEnumerable<string> TargetsOf(IType type) => type.Dependencies
        .SelectMany(use => use.TargetGenericArguments.SelectMany(Flatten).Append(use.Target))
        .Where(target => target is not GenericParameter)
        .Select(target => target.FullName)
        .Distinct();

    private static IEnumerable<IType> Flatten(GenericArgument argument) => argument.GenericArguments.SelectMany(Flatten).Append(argument.Type);
}
