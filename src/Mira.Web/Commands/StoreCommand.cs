using System.CommandLine;
using Mira.Application.Keys;

namespace Mira.Web.Commands;

/// <summary><c>store copy</c>: copies keys between stores.</summary>
public static class StoreCommand
{
    public static Command Make(Func<string, string, bool, CancellationToken, Task<int>> act)
    {
        var from = new Option<string>("--from") { Description = "sqlite, sqlite:DIR, postgres or airtable", Required = true };
        var to = new Option<string>("--to") { Description = "The same", Required = true };
        var dryRun = new Option<bool>("--dry-run") { Description = "Says what would be done, and does nothing" };
        var copy = new Command("copy", "Copies keys with their ids and digests, so that no token changes") { from, to, dryRun };
        copy.SetAction((line, cancellationToken) =>
            act(line.GetRequiredValue(from), line.GetRequiredValue(to), line.GetValue(dryRun), cancellationToken));
        return new Command("store", "Stores") { copy };
    }

    /// <summary>A line for each key as it is done, and one for all; names are nobody's business here.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> PrintAsync(IAsyncEnumerable<CopiedKey> keys)
    {
        var counts = new SortedDictionary<CopyResult, int>();
        await foreach (var key in keys)
        {
            counts[key.Result] = counts.GetValueOrDefault(key.Result) + 1;
            Console.Out.WriteLine($"{key.KeyId.Value} {Word(key.Result)}{(key.Problem is null ? "" : $": {key.Problem}")}");
        }

        Console.Out.WriteLine(counts.Count == 0 ? "there is no key" : string.Join(", ", counts.Select(count => $"{count.Value} {Word(count.Key)}")));
        var left = counts.GetValueOrDefault(CopyResult.Differs) + counts.GetValueOrDefault(CopyResult.Failed);
        return left == 0 ? 0 : await CommandLine.FailAsync($"{left} of {counts.Values.Sum()} keys are not in the target as they are in the source; their lines say why");
    }

    private static string Word(CopyResult result) => result == CopyResult.WouldCopy ? "would copy" : result.ToString().ToLowerInvariant();
}
