using BenchmarkDotNet.Running;

// dotnet run -c Release --project tests/Mira.Benchmarks -- --filter '*'
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
