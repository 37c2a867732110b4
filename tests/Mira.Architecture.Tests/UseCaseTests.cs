using System.Reflection;
using System.Text.RegularExpressions;
using FluentValidation;
using MediatR;
using Mira.Architecture.Tests.Compiled;

namespace Mira.Architecture.Tests;

/// <summary>
/// A use case is a message, its handler and its validator, found by one name; an interface has a reason to be.
/// </summary>
internal sealed partial class UseCaseTests
{
    /// <summary>The words a message may begin with. Another verb is welcome; a noun is not.</summary>
    private static readonly string[] Verbs = ["Accept", "Create", "Export", "Get", "List", "Receive", "Revoke", "Rotate", "Update", "Verify"];

    [Test]
    public void A_use_case_is_a_verb_with_its_object_and_has_a_handler_and_a_validator_by_its_name() => Rule.Holds(
        OddUseCases,
        [Assemblies.Application.GetTypes(), Assemblies.Web.GetTypes(), Assemblies.Infrastructure.GetTypes()],
        planted: [.. typeof(Planted.UseCases).GetNestedTypes(BindingFlags.NonPublic).Select(holder => holder.GetNestedTypes(BindingFlags.NonPublic))]);

    [Test]
    public void There_are_use_cases_to_look_at() =>
        Assert.That(Assemblies.Application.GetTypes().SelectMany(type => Implemented(type, typeof(IRequest<>))), Is.Not.Empty);

    [Test]
    public void An_interface_leads_out_of_the_application_or_has_two_implementations() => Rule.Holds(
        IdleInterfaces,
        [.. Interfaces(Assemblies.Written)],
        planted:
        [
            .. Interfaces(typeof(UseCaseTests).Assembly).Where(port => port.Name is "IImplementedOnce" or "IImplementedNever"),
            new Port("IKeyRules", "Mira.Domain", ["Mira.Application"]),
            new Port("IKeyRules", "Mira.Application", ["Mira.Application"]),
            new Port("IKeyRules", "Mira.Infrastructure", ["Mira.Infrastructure"]),
        ],
        [
            .. Interfaces(typeof(UseCaseTests).Assembly).Where(port => port.Name is "IImplementedTwice"),
            new Port("IKeyStore", "Mira.Application", ["Mira.Infrastructure"]),
        ]);

    private static IEnumerable<string> OddUseCases(Type[] types) =>
        from request in types
        where Implemented(request, typeof(IRequest<>)).Any()
        let handlers = types.Where(type => Implemented(type, typeof(IRequestHandler<,>)).Any(contract => contract.GenericTypeArguments[0] == request)).ToList()
        let validators = types.Where(type => Implemented(type, typeof(IValidator<>)).Any(contract => contract.GenericTypeArguments[0] == request))
        let words = Words().Matches(request.Name)
        from problem in new[]
        {
            Verbs.Contains(words[0].Value) && words.Count > 1 ? null : $"{request.Name} is no verb with its object",
            handlers.Count == 1 ? null : $"{request.Name} has {handlers.Count} handlers",
            handlers.TrueForAll(handler => handler.Name == request.Name + "Handler" && handler.Namespace == request.Namespace) ? null : $"{request.Name} has no {request.Name}Handler beside it",
            handlers.Exists(SendsMessages) ? $"{request.Name}Handler sends messages itself" : null,
            validators.All(validator => validator.Name == request.Name + "Validator") ? null : $"{request.Name} has no {request.Name}Validator",
        }
        where problem is not null
        select problem;

    private static bool SendsMessages(Type handler) => handler.GetConstructors()
        .SelectMany(constructor => constructor.GetParameters())
        .Any(parameter => typeof(IMediator).IsAssignableFrom(parameter.ParameterType) || Implemented(parameter.ParameterType, typeof(IRequestHandler<,>)).Any());

    private static IEnumerable<Type> Implemented(Type type, Type contract) =>
        type.GetInterfaces().Append(type).Where(candidate => candidate.IsGenericType && candidate.GetGenericTypeDefinition() == contract);

    private static IEnumerable<string> IdleInterfaces(Port port) =>
        port.ImplementedIn.Count > 1 || (port.Home == "Mira.Application" && port.ImplementedIn.Any(home => home != port.Home))
            ? []
            : [$"{port.Name} of {port.Home} has {port.ImplementedIn.Count} implementation"];

    private static IEnumerable<Port> Interfaces(params Assembly[] assemblies)
    {
        Type[] types = [.. assemblies.SelectMany(assembly => assembly.GetTypes())];
        return types.Where(type => type.IsInterface).Select(contract => new Port(
            contract.Name,
            contract.Assembly.GetName().Name!,
            [
                .. types
                    .Where(type => !type.IsInterface && type.GetInterfaces().Any(one => (one.IsGenericType ? one.GetGenericTypeDefinition() : one) == contract))
                    .Select(type => type.Assembly.GetName().Name!),
            ]));
    }

    [GeneratedRegex("[A-Z][a-z0-9]*")]
    private static partial Regex Words();

    /// <param name="ImplementedIn">The assembly of each implementation.</param>
    private sealed record Port(string Name, string Home, IReadOnlyCollection<string> ImplementedIn);
}
