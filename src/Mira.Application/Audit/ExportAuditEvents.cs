using System.Runtime.CompilerServices;
using FluentValidation;
using MediatR;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Application.Audit;

/// <summary>
/// Gives out a stretch of the ledger, oldest first, with the signatures that prove it to whoever has the public key.
/// </summary>
/// <param name="From">Inclusive, RFC 3339.</param>
/// <param name="To">Exclusive, RFC 3339.</param>
/// <param name="Format">What it is written as; for the record.</param>
/// <param name="IsTable">Is it for people, and proves nothing? Then edited events are left out.</param>
public sealed record ExportAuditEvents(string? From, string? To, string Format, bool IsTable = false) : IRequest<AuditExport>;

/// <param name="Lines">Read from the store as they are asked for.</param>
public sealed record AuditExport(IAsyncEnumerable<ExportedLine> Lines);

/// <summary>An event, or a checkpoint about the event before it; one of the two.</summary>
public readonly record struct ExportedLine(LedgerEvent? Event, Checkpoint? Checkpoint);

public sealed class ExportAuditEventsValidator : AbstractValidator<ExportAuditEvents>
{
    public ExportAuditEventsValidator()
    {
        RuleFor(export => export.From).IsTime();
        RuleFor(export => export.To).IsTime();
    }
}

public sealed class ExportAuditEventsHandler(
    ILedger ledger, ILedgerReader reader, ILedgerArchive archive, LedgerPoller poller, EventViolations edited, AuditKey key, TimeProvider clock)
    : IRequestHandler<ExportAuditEvents, AuditExport>
{
    private const int PageSize = 500;

    /// <exception cref="LedgerUnavailableException">It could not be recorded, so nothing is given out.</exception>
    public async Task<AuditExport> Handle(ExportAuditEvents request, CancellationToken cancellationToken)
    {
        var (from, to) = (AuditInput.Time(request.From), AuditInput.Time(request.To));
        await ledger.ChangeAsync(
            change =>
            {
                change.Record(new KeyEvent(EventType.AuditExported, null, [.. Named("from_time", from), .. Named("to_time", to), FieldChange.Of("format", null, request.Format)]));
                return Task.FromResult(true);
            },
            cancellationToken);
        var stretch = await archive.FindStretchAsync(from, to, cancellationToken);
        var cut = await archive.FindCutAsync(cancellationToken);
        return new AuditExport(stretch is null ? AsyncEnumerable.Empty<ExportedLine>() : ReadAsync(stretch, cut, from is not null || to is not null, request.IsTable, cancellationToken));
    }

    // Both ends of a part are signed for the same moment: who cuts off its begin, up to a checkpoint within, has a
    // begin of another moment.
    private async IAsyncEnumerable<ExportedLine> ReadAsync(
        LedgerRange stretch, Checkpoint? cut, bool isPart, bool isTable, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var now = Rfc3339.Truncate(clock.GetUtcNow());
        var last = await FindBeforeAsync(stretch.First, cut, cancellationToken);
        // What does not hold together is given out as it is, and not signed for.
        var isWhole = last is not null && !poller.IsBroken;
        isWhole = isWhole && (!isPart || await IsProvedAsync(last!, cancellationToken));
        if (isWhole && (isPart ? key.Sign(last!, now) : cut) is { } begin)
            yield return new ExportedLine(null, begin);

        for (var next = stretch.First; next <= stretch.Last;)
        {
            var page = await reader.ReadFromAsync(next, PageSize, cancellationToken);
            if (page.Count == 0)
                break;

            var kept = await archive.FindCheckpointsAsync(new LedgerRange(next, stretch.Last - 1), key.Public.Id, page.Count, cancellationToken);
            var checkpoints = kept.GetEnumerator();
            var more = checkpoints.MoveNext();
            foreach (var entry in page.TakeWhile(entry => entry.Seq <= stretch.Last))
            {
                isWhole = isWhole && entry.Follows(last!);
                last = entry.Position;
                // The lines of an export prove themselves, or show that they do not. A table would give out an edited
                // event as true.
                if (!entry.IsWhole())
                {
                    edited.Report(entry.Seq);
                    if (isTable || entry.IsUnreadable)
                        continue;
                }

                yield return new ExportedLine(entry, null);
                if (more && checkpoints.Current.Seq == entry.Seq)
                {
                    yield return new ExportedLine(null, checkpoints.Current);
                    more = checkpoints.MoveNext();
                }
            }

            next = page[^1].Seq + 1;
        }

        if (isWhole && last!.Seq == stretch.Last && !poller.IsBroken && await IsProvedAsync(last, cancellationToken))
            yield return new ExportedLine(null, key.Sign(last, now));
    }

    /// <summary>
    /// Does what comes after this place lead to an end that this service has signed, then or now? What it signs here
    /// counts as any other checkpoint, so nothing is signed for somebody who has only edited what lies before.
    /// </summary>
    private async Task<bool> IsProvedAsync(LedgerPosition place, CancellationToken cancellationToken)
    {
        if (place == LedgerPosition.Start)
            return true;

        var head = await archive.ReadHeadAsync(cancellationToken);
        var kept = await archive.FindCheckpointsAsync(new LedgerRange(place.Seq, head.Position.Seq), key.Public.Id, 1, cancellationToken);
        var signed = kept.Append(head.Statement).FirstOrDefault(statement => statement is not null && key.Public.Verifies(statement));
        var last = place;
        while (last.Seq < signed?.Seq)
        {
            var page = await reader.ReadFromAsync(last.Seq + 1, PageSize, cancellationToken);
            if (page.Count == 0)
                return false;

            foreach (var entry in page.TakeWhile(entry => entry.Seq <= signed.Seq))
            {
                if (!entry.Follows(last) || UnauthenticatedHead.IsToldBy(entry))
                    return false;
                last = entry.Position;
            }
        }

        return last == signed?.Position;
    }

    /// <summary>The place that the first event has to follow; null when it is not there.</summary>
    private async Task<LedgerPosition?> FindBeforeAsync(long first, Checkpoint? cut, CancellationToken cancellationToken)
    {
        if (first == 1)
            return LedgerPosition.Start;
        if (first == cut?.Seq + 1)
            return cut!.Position;
        return (await reader.ReadFromAsync(first - 1, 1, cancellationToken)) is [var before] && before.Seq == first - 1 ? before.Position : null;
    }

    private static FieldChange[] Named(string field, DateTimeOffset? time) => time is null ? [] : [FieldChange.Of(field, null, time)];
}
