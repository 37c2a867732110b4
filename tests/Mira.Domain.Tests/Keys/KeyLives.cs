using FsCheck;
using FsCheck.Fluent;
using Mira.Domain.Keys;

namespace Mira.Domain.Tests.Keys;

/// <summary>A whole life to try: how the key is issued and what is done with it, one after the other.</summary>
public sealed record KeyLife(Role Role, int? Days, IReadOnlyList<Step> Steps)
{
    public override string ToString() => $"{Role}, {(Days is null ? "for ever" : $"{Days} days")}: {string.Join(", ", Steps)}";
}

public abstract record Step;

public sealed record Rotate(int GraceMinutes, int? Days) : Step;

public sealed record Revoke(int OtherAdmins) : Step;

public sealed record Switch(bool Off, int OtherAdmins) : Step;

public sealed record Pass(TimeSpan Time) : Step;

/// <summary>Time goes on until something ends, or to the millisecond before.</summary>
public sealed record PassToNextEnd(bool JustBefore) : Step;

/// <summary>
/// Random lives, most of them long in rotations; a shorter one that fails as well is looked for by leaving steps out.
/// </summary>
public static class KeyLives
{
    private static readonly int?[] Lifetimes = [null, 1, 30, 90];

    private static readonly TimeSpan[] Times =
        [KeyWithClock.Instant, TimeSpan.FromMinutes(1), TimeSpan.FromHours(1), TimeSpan.FromDays(1), TimeSpan.FromDays(20), TimeSpan.FromDays(91)];

    public static Arbitrary<KeyLife> Life() => Arb.From(
        from role in Gen.Elements(Role.Operator, Role.Admin)
        from days in Gen.Elements(Lifetimes)
        from length in Gen.Choose(1, 40)
        from steps in Gen.ArrayOf(AnyStep(), length)
        select new KeyLife(role, days, steps),
        life => Enumerable.Range(0, life.Steps.Count).Select(left => life with { Steps = [.. life.Steps.Where((_, i) => i != left)] }));

    private static Gen<Step> AnyStep() => Gen.Frequency(
        (10, from grace in Gen.Elements(0, 1, 60, 1440, 43_200)
             from days in Gen.Frequency((3, Gen.Constant<int?>(null)), (1, Gen.Elements(Lifetimes)))
             select (Step)new Rotate(grace, days)),
        (1, Others().Select(others => (Step)new Revoke(others))),
        (1, Others().Select(others => (Step)new Switch(true, others))),
        (2, Gen.Constant((Step)new Switch(false, 0))),
        (5, Gen.Elements(Times).Select(time => (Step)new Pass(time))),
        (5, Gen.Elements(true, false).Select(before => (Step)new PassToNextEnd(before))));

    private static Gen<int> Others() => Gen.Choose(0, 1);
}
