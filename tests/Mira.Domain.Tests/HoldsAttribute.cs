namespace Mira.Domain.Tests;

/// <summary>A property that is tried this often, times MIRA_ROUNDS.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class HoldsAttribute : FsCheck.NUnit.PropertyAttribute
{
    public HoldsAttribute(int times)
    {
        Times = times;
        MaxTest = Rounds.Of(times);
        QuietOnSuccess = true;
    }

    public int Times { get; }
}
