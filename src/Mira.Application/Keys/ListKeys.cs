using AutoMapper;
using FluentValidation;
using MediatR;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>Lists keys the caller may see, newest first.</summary>
public sealed record ListKeys(
    string? Role, string? Status, string? Owner, string? Q, string? Limit, string? Cursor, Viewpoint Viewpoint) : IRequest<KeyPage>;

/// <param name="NextCursor">Where the next page begins; null on the last.</param>
public sealed record KeyPage(IReadOnlyList<KeyView> Keys, string? NextCursor);

public sealed class ListKeysValidator : AbstractValidator<ListKeys>
{
    public ListKeysValidator()
    {
        RuleFor(list => list.Role).IsRole().WithErrorCode(KeyInput.InvalidParameter).When(list => list.Role is not null);
        RuleFor(list => list.Status)
            .Must(status => KeyStatuses.TryParse(status, out _))
            .WithMessage("must be revoked, expired, disabled, rotating or active").WithErrorCode(KeyInput.InvalidParameter)
            .When(list => list.Status is not null);
        RuleFor(list => list.Owner).IsLabel().WithErrorCode(KeyInput.InvalidParameter).When(list => list.Owner is not null);
        RuleFor(list => list.Q)
            .MaximumLength(KeyInput.MaximumSearchLength)
            .WithMessage($"must be at most {KeyInput.MaximumSearchLength} characters").WithErrorCode(KeyInput.InvalidParameter)
            .Must(text => text is null || Label.MayHold(text))
            .WithMessage("must hold no control, text-direction or non-characters").WithErrorCode(KeyInput.InvalidParameter);
        RuleFor(list => list.Limit).IsPageSize();
        RuleFor(list => list.Cursor).IsCursor(ListKeysHandler.CursorName);
    }
}

public sealed class ListKeysHandler(IKeyStore store, IMapper mapper, TimeProvider clock) : IRequestHandler<ListKeys, KeyPage>
{
    internal const string CursorName = "k";

    public async Task<KeyPage> Handle(ListKeys request, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        var limit = PageInput.Size(request.Limit);
        var filter = new KeyFilter(
            Roles.TryParse(request.Role, out var role) ? role : null,
            KeyStatuses.TryParse(request.Status, out var status) ? status : null,
            KeyInput.Normalize(request.Owner), request.Q, request.Viewpoint, now,
            PageInput.Before(CursorName, request.Cursor), limit + 1);
        var found = await store.FindAsync(filter, cancellationToken);
        return new KeyPage(
            // What is not believed is not shown as if it were true; health, metrics and audit trail tell of it.
            [.. found.Take(limit).Where(row => !row.Key.IsDoubted).Select(row => mapper.ViewOf(row.Key, now))],
            found.Count > limit ? Application.Cursor.Write(CursorName, found[limit - 1].Seq) : null);
    }
}
