using FluentValidation;
using MediatR;

namespace Mira.Architecture.Tests.Planted;

/// <summary>Use cases that break the rules about them: each class holds one.</summary>
internal static class UseCases
{
    internal static class WithoutVerb
    {
        internal sealed record KeyRotation : IRequest<string>;

        internal sealed class KeyRotationHandler : IRequestHandler<KeyRotation, string>
        {
            public Task<string> Handle(KeyRotation request, CancellationToken cancellationToken) => Task.FromResult("");
        }
    }

    internal static class WithoutObject
    {
        internal sealed record Rotate : IRequest<string>;

        internal sealed class RotateHandler : IRequestHandler<Rotate, string>
        {
            public Task<string> Handle(Rotate request, CancellationToken cancellationToken) => Task.FromResult("");
        }
    }

    internal static class WithoutHandler
    {
        internal sealed record RotateKey : IRequest<string>;
    }

    internal static class WithOddHandler
    {
        internal sealed record RotateKey : IRequest<string>;

        internal sealed class KeyRotator : IRequestHandler<RotateKey, string>
        {
            public Task<string> Handle(RotateKey request, CancellationToken cancellationToken) => Task.FromResult("");
        }
    }

    internal static class WithOddValidator
    {
        internal sealed record RotateKey : IRequest<string>;

        internal sealed class RotateKeyHandler : IRequestHandler<RotateKey, string>
        {
            public Task<string> Handle(RotateKey request, CancellationToken cancellationToken) => Task.FromResult("");
        }

        internal sealed class RotationRules : AbstractValidator<RotateKey>;
    }

    internal static class ThatSendsAnother
    {
        internal sealed record RotateKey : IRequest<string>;

        internal sealed class RotateKeyHandler(IMediator mediator) : IRequestHandler<RotateKey, string>
        {
            public Task<string> Handle(RotateKey request, CancellationToken cancellationToken) => mediator.Send(new RotateKey(), cancellationToken);
        }
    }
}

/// <summary>Interfaces that nothing needs.</summary>
internal static class Interfaces
{
    internal interface IImplementedOnce;

    internal interface IImplementedNever;

    internal interface IImplementedTwice;

    internal sealed class First : IImplementedOnce, IImplementedTwice;

    internal sealed class Second : IImplementedTwice;
}
