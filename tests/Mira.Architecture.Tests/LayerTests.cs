using Mira.Architecture.Tests.Compiled;

namespace Mira.Architecture.Tests;

/// <summary>What the types of a layer may know of, read from what was compiled.</summary>
internal sealed class LayerTests
{
    [Test]
    public void The_domain_knows_nothing_but_the_platform() => Rule.Holds(
        type => type.NamingOtherThan("System", "Mira.Domain")
            .Concat(type.Naming("System.IO", "System.Net.Http", "System.Net.Sockets", "System.Data"))
            .Concat(type.Targets.Where(target => target is "System.Console" or "System.Environment").Select(target => $"{type.Name} names {target}")),
        Assemblies.TypesIn(Assemblies.Domain, "Mira.Domain"),
        Assemblies.Planted(typeof(Planted.KnowsMoreThanThePlatform)));

    [Test]
    public void The_application_knows_no_HTTP_and_no_database() => Rule.Holds(
        type => type.Naming(
            "Mira.Infrastructure", "Mira.Web", "Microsoft.AspNetCore", "System.Net.Http", "Microsoft.EntityFrameworkCore", "System.Data",
            "Microsoft.Data", "Npgsql", "StackExchange", "Microsoft.Extensions.Caching", "Polly"),
        Assemblies.TypesIn(Assemblies.Application, "Mira.Application"),
        Assemblies.Planted(typeof(Planted.KnowsTheOutside)));

    // Tens of thousands of calls a second go this way.
    [Test]
    public void The_verification_path_uses_no_mediator_mapper_or_database() => Rule.Holds(
        type => type.Naming("MediatR", "AutoMapper", "Microsoft.EntityFrameworkCore", "Mira.Application.Pipeline"),
        [
            .. Assemblies.TypesIn(Assemblies.Application, "Mira.Application.Verification"),
            .. Assemblies.TypesIn(Assemblies.Web, "Mira.Web.Authentication").Where(type => !type.Name.EndsWith(".HttpCaller", StringComparison.Ordinal)),
            .. Assemblies.TypesIn(Assemblies.Web, "Mira.Web.Authorization"),
        ],
        Assemblies.Planted(typeof(Planted.VerifiesSlowly)));
}
