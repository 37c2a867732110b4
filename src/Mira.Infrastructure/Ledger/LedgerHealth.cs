using Mira.Application.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Ledger;

/// <summary>How writing went last, and the clock.</summary>
/// <param name="clock">Null when the ledger goes by this node's own.</param>
internal sealed class LedgerHealth(WriteGate gate, ClockCheck? clock = null) : ILedgerHealth
{
    /// <inheritdoc/>
    public bool IsWritable => gate.IsWritable;

    /// <inheritdoc/>
    public long FailedWrites => gate.Failures;

    /// <inheritdoc/>
    public bool IsClockRight => clock?.IsRight ?? true;
}
