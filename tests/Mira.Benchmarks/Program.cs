using BenchmarkDotNet.Running;
using Mira.Benchmarks;
using Mira.Benchmarks.Drill;
using Mira.Benchmarks.Load;

// dotnet run -c Release --project tests/Mira.Benchmarks -- --filter '*' build/measure-start.sh for the time a start
// takes, build/bench.sh for the service under load, build/drill.sh for faults. dotnet run -c Release --project
// tests/Mira.Benchmarks -- memory <Mira.Web.dll> [keys]; the same with many for very many keys in PostgreSQL.
if (args is ["start", _, ..])
    await StartMeasurement.RunAsync(args[1..]);
else if (args is ["load", _, ..])
    await LoadBench.RunAsync(args[1..]);
else if (args is ["memory", _, ..])
    await MemoryMeasurement.RunAsync(args[1..]);
else if (args is ["many", _, ..])
    await ManyKeysMeasurement.RunAsync(args[1..]);
else if (args is ["drill", _, _, ..])
    await FaultDrill.RunAsync(args[1..]);
else if (args is ["bare", var address])
    await BareServer.RunAsync(address);
else
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
