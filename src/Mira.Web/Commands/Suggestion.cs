using System.CommandLine;

namespace Mira.Web.Commands;

/// <summary>What somebody probably meant who wrote a word that is not known.</summary>
internal static class Suggestion
{
    /// <summary>
    /// For the first word that the line does not know: the nearest command or option that stands at its place. Empty
    /// when none is near.
    /// </summary>
    public static string For(ParseResult line)
    {
        var command = line.CommandResult.Command;
        string[] names = [.. command.Subcommands.Select(command => command.Name), .. command.Options.Select(option => option.Name)];
        return line.UnmatchedTokens.Select(word => For(word, names)).FirstOrDefault(found => found.Length > 0) ?? "";
    }

    public static string For(string word, IReadOnlyCollection<string> names)
    {
        var near = names.Select(name => (Name: name, Edits: Edits(word, name))).OrderBy(pair => pair.Edits).FirstOrDefault();
        // Half of a word that is wrong is another word.
        return near.Name is { } nearest && near.Edits <= Math.Max(1, nearest.TrimStart('-').Length / 3) ? $" Did you mean {nearest}?" : "";
    }

    /// <summary>
    /// How many letters must be put in, taken out, changed or swapped with the next (Damerau and Levenshtein, each
    /// place once).
    /// </summary>
    private static int Edits(string from, string to)
    {
        var table = new int[from.Length + 1, to.Length + 1];
        for (var row = 0; row <= from.Length; row++)
        {
            for (var column = 0; column <= to.Length; column++)
                table[row, column] = Cell(row, column);
        }

        return table[from.Length, to.Length];

        int Cell(int row, int column)
        {
            if (row == 0 || column == 0)
                return row + column;

            var change = table[row - 1, column - 1] + (from[row - 1] == to[column - 1] ? 0 : 1);
            var best = Math.Min(change, Math.Min(table[row - 1, column], table[row, column - 1]) + 1);
            var swapped = row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            return swapped ? Math.Min(best, table[row - 2, column - 2] + 1) : best;
        }
    }
}
