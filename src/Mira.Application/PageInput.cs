using System.Globalization;
using FluentValidation;
using Mira.Application.Keys;

namespace Mira.Application;

/// <summary>The parameters that every list takes.</summary>
internal static class PageInput
{
    public const int MaximumSize = 200;
    public const int DefaultSize = 50;

    public static IRuleBuilderOptions<T, string?> IsPageSize<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(text => text is null || TryParseSize(text, out _))
            .WithMessage($"must be a whole number from 1 to {MaximumSize}").WithErrorCode(KeyInput.InvalidParameter);

    public static IRuleBuilderOptions<T, string?> IsCursor<T>(this IRuleBuilder<T, string?> rule, string list) =>
        rule.Must(text => text is null || Cursor.TryRead(list, text, out _))
            .WithMessage("must be the next_cursor of an earlier page").WithErrorCode(KeyInput.InvalidParameter);

    public static int Size(string? limit) => limit is not null && TryParseSize(limit, out var size) ? size : DefaultSize;

    public static long? Before(string list, string? cursor) =>
        cursor is not null && Cursor.TryRead(list, cursor, out var seq) ? seq : null;

    private static bool TryParseSize(string text, out int size) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out size) && size is >= 1 and <= MaximumSize;
}
