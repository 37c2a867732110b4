using BenchmarkDotNet.Running;
using Mira.Benchmarks;

// dotnet run -c Release --project tests/Mira.Benchmarks -- --filter '*'
// build/measure-start.sh for the time a start takes.
if (args is ["start", _, ..])
    await StartMeasurement.RunAsync(args[1..]);
else
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
