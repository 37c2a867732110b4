using Mira.Application.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Background;

/// <summary>How writing went last, the clock, and the anchor.</summary>
/// <param name="clock">Null when the ledger goes by this node's own.</param>
/// <param name="anchor">Null when nothing is carried outside.</param>
internal sealed class LedgerHealth(SingleWriter gate, HeadSigner seal, ClockCheck? clock = null, CheckpointAnchor? anchor = null) : ILedgerHealth
{
    /// <inheritdoc/>
    public bool IsWritable => gate.IsWritable && !seal.IsSuperseded;

    /// <inheritdoc/>
    public long FailedWrites => gate.Failures;

    /// <inheritdoc/>
    public bool IsClockRight => clock?.IsRight ?? true;

    /// <inheritdoc/>
    public bool? IsAnchored => anchor?.IsWorking;
}
