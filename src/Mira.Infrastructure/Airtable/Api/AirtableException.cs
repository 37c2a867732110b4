using System.Net;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// A call of Airtable that came to nothing, or perhaps not. The text names what happened, at most with Airtable's own
/// word for it; the token and what cells hold are never in it.
/// </summary>
public sealed class AirtableException : Exception
{
    internal AirtableException(string problem, DeliveryState outcome, Exception? inner = null)
        : base($"Airtable {problem}", inner) => Fate = outcome;

    /// <summary>The same, made again around what was thrown.</summary>
    /// <param name="outcome">What is known of all attempts together.</param>
    internal AirtableException(AirtableException last, DeliveryState outcome)
        : base(last.Message, last) =>
        (Fate, Status, ErrorType, RetryAfter, IsTooLarge, IsPassing) = (outcome, last.Status, last.ErrorType, last.RetryAfter, last.IsTooLarge, last.IsPassing);

    /// <summary>What became of the change, over all attempts at it.</summary>
    public DeliveryState Fate { get; }

    /// <summary>What was answered; null when nothing was.</summary>
    public HttpStatusCode? Status { get; init; }

    /// <summary>Airtable's word for the refusal, like <c>INVALID_VALUE_FOR_COLUMN</c>; null without one.</summary>
    public string? ErrorType { get; init; }

    /// <summary>When another attempt can make sense; null when nobody knows.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>
    /// The record that a person has set to revoked, which is why nothing was written; null for every other reason.
    /// </summary>
    internal AirtableRecord? RevokedRecord { get; init; }

    /// <summary>Did Airtable take what it was given, and hold something else after that?</summary>
    internal bool IsNotHeld { get; init; }

    /// <summary>Was the answer longer than is taken?</summary>
    internal bool IsTooLarge { get; init; }

    /// <summary>Could the same call succeed a moment later?</summary>
    internal bool IsPassing { get; init; }
}

/// <summary>What became of a change whose call failed.</summary>
public enum DeliveryState
{
    /// <summary>It surely was not applied: the call did not reach Airtable, or was refused.</summary>
    NotSent,

    /// <summary>It may have been applied, or still be: the answer is missing or makes no sense.</summary>
    Unknown,
}
