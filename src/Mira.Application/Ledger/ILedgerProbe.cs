namespace Mira.Application.Ledger;

/// <summary>Tells whether changes can be recorded now, by recording that nothing changed.</summary>
public interface ILedgerProbe
{
    Task<bool> CanWriteAsync(CancellationToken cancellationToken);
}
