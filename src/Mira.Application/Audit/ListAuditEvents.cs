using System.Globalization;
using AutoMapper;
using FluentValidation;
using MediatR;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Audit;

/// <summary>Lists events of the ledger, newest first.</summary>
/// <param name="KeyId">Whom the event concerns.</param>
/// <param name="Actor">The id of the key that did it.</param>
/// <param name="From">Inclusive, RFC 3339.</param>
/// <param name="To">Exclusive, RFC 3339.</param>
public sealed record ListAuditEvents(
    string? Type, string? KeyId, string? Actor, string? From, string? To, string? Limit, string? Cursor) : IRequest<AuditEventPage>;

/// <param name="NextCursor">Where the next page begins; null on the last.</param>
public sealed record AuditEventPage(IReadOnlyList<AuditEventView> Events, string? NextCursor);

public sealed class ListAuditEventsValidator : AbstractValidator<ListAuditEvents>
{
    public ListAuditEventsValidator()
    {
        RuleFor(list => list.Type)
            .Must(type => type is null || EventType.All.Contains(type))
            .WithMessage("must be a type of event").WithErrorCode(KeyInput.InvalidParameter);
        RuleFor(list => list.KeyId).IsKeyId();
        RuleFor(list => list.Actor).IsKeyId();
        RuleFor(list => list.From).IsTime();
        RuleFor(list => list.To).IsTime();
        RuleFor(list => list.Limit).IsPageSize();
        RuleFor(list => list.Cursor).IsCursor(ListAuditEventsHandler.CursorName);
    }
}

public sealed class ListAuditEventsHandler(ILedgerReader ledger, EventViolations edited, IMapper mapper, AggregatedEvents gathered, AuditScope scope)
    : IRequestHandler<ListAuditEvents, AuditEventPage>
{
    internal const string CursorName = "e";

    public async Task<AuditEventPage> Handle(ListAuditEvents request, CancellationToken cancellationToken)
    {
        var limit = PageInput.Size(request.Limit);
        var filter = new EventFilter(
            request.Type, request.KeyId, request.Actor, AuditInput.Time(request.From), AuditInput.Time(request.To),
            PageInput.Before(CursorName, request.Cursor), limit + 1);
        var found = await ledger.FindAsync(filter, cancellationToken);
        var key = KeyId.TryParse(scope.Actor.KeyId, out var id) ? id : default(KeyId?);
        gathered.Note(new EventGroup(EventType.AuditRead, null) { Key = key, Outcome = "success" }, scope.Actor, static actor => actor);
        return new AuditEventPage(
            [.. edited.LeaveOut(found).Where(entry => found.Count <= limit || entry != found[limit]).Select(mapper.Map<AuditEventView>)],
            found.Count > limit ? Application.Cursor.Write(CursorName, found[limit - 1].Seq) : null);
    }
}

internal static class AuditInput
{
    /// <summary>Of <c>2026-01-31T12:00:00</c>.</summary>
    private const int SecondsLength = 19;

    /// <summary>What <see cref="DateTimeOffset"/> holds.</summary>
    private const int FractionDigits = 7;

    private static readonly string[] Formats =
        ["yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    public static IRuleBuilderOptions<T, string?> IsKeyId<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(text => text is null || KeyId.TryParse(text, out _))
            .WithMessage("must be a key id").WithErrorCode(KeyInput.InvalidParameter);

    public static IRuleBuilderOptions<T, string?> IsTime<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(text => text is null || Time(text) is not null)
            .WithMessage("must be a time like 2026-01-31T12:00:00Z").WithErrorCode(KeyInput.InvalidParameter);

    /// <summary>
    /// A time with any number of fraction digits. What is finer than the clock stands for the clock's next moment: an
    /// event is at or after the one exactly when it is at or after the other.
    /// </summary>
    public static DateTimeOffset? Time(string? text)
    {
        if (text is not { Length: > SecondsLength } || !(text[^1] == 'Z' || text[^6] is '+' or '-'))
            return null;

        var digits = text[SecondsLength] == '.' ? text.AsSpan(SecondsLength + 1).IndexOfAnyExceptInRange('0', '9') : FractionDigits;
        if (digits == 0)
            return null;

        var isFiner = false;
        if (digits > FractionDigits)
        {
            const int End = SecondsLength + 1 + FractionDigits;
            isFiner = text.AsSpan(End, digits - FractionDigits).ContainsAnyExcept('0');
            text = text.Remove(End, digits - FractionDigits);
        }

        if (!DateTimeOffset.TryParseExact(text, Formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
            return null;

        var utc = time.ToUniversalTime();
        return isFiner && utc < DateTimeOffset.MaxValue ? utc.AddTicks(1) : utc;
    }
}
