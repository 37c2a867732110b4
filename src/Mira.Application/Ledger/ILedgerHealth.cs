namespace Mira.Application.Ledger;

/// <summary>Tells how recording changes went last, without waiting for anything.</summary>
public interface ILedgerHealth
{
    /// <summary>
    /// False from a write that failed until one that worked; writes are tried every two seconds, also when nobody
    /// changes anything, and every ten seconds while nobody calls a node that has its store for itself.
    /// </summary>
    bool IsWritable { get; }

    /// <summary>Writes that failed, since the start.</summary>
    long FailedWrites { get; }

    /// <summary>False while this node's clock is more than two seconds off the one the ledger goes by.</summary>
    bool IsClockRight { get; }

    /// <summary>Do checkpoints reach the external checkpoint store? Null when there is none.</summary>
    bool? IsAnchored { get; }
}
