using System.Globalization;

namespace Mira.Load;

/// <summary>What the command line asks for.</summary>
public sealed record Options(
    Scenario Scenario, Uri? Url, string? Key, string Path, string Binary, string Folder, bool HasBare)
{
    public const string Help =
        """
        usage: build/load.sh [scenario] [options]

          --url URL        the server to load; without it a node is started, and ended again
          --key KEY        a key for that server, better in MIRA_LOAD_KEY: a key that may create keys makes those of the run and revokes them,
                           another one is used as it is, and its limit counts
          --path PATH      what is asked for, default /api/auth/validate
          --seconds S      another length of the whole scenario
          --rate R         another highest rate, in requests a second
          --no-bare        leaves out the bare endpoint that is measured first
          --out FOLDER     where the results page goes, default artifacts/load

        The exit code is 1 when the run misses one of its limits, and 2 when it could not run.
        """;

    /// <exception cref="FormatException">The line asks for something that is not there.</exception>
    public static Options Read(string[] arguments, string? key)
    {
        var scenario = Scenario.All[0];
        var (path, binary, folder, hasBare) = ("/api/auth/validate", "src/Mira.Web/bin/Release/net10.0/Mira.Web.dll",
            "artifacts/load", true);
        Uri? url = null;
        double? seconds = null, rate = null;
        var rest = new Queue<string>(arguments);
        if (rest.TryPeek(out var first) && !first.StartsWith('-'))
            scenario = Scenario.Find(rest.Dequeue()) ?? throw new FormatException($"there is no scenario {first}");
        while (rest.TryDequeue(out var option))
        {
            if (option == "--no-bare")
            {
                hasBare = false;
                continue;
            }

            var value = rest.TryDequeue(out var next) ? next : throw new FormatException($"{option} needs a value");
            switch (option)
            {
                case "--url":
                    url = Uri.TryCreate(value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
                        ? address : throw new FormatException($"{value} is no http address");
                    break;
                case "--key":
                    key = value;
                    break;
                case "--path":
                    path = value;
                    break;
                case "--seconds":
                    seconds = Number(option, value);
                    break;
                case "--rate":
                    rate = Number(option, value);
                    break;
                case "--binary":
                    binary = value;
                    break;
                case "--out":
                    folder = value;
                    break;
                default:
                    throw new FormatException($"there is no option {option}");
            }
        }

        return new Options(scenario with { Phases = Arrivals.Scale(scenario.Phases, seconds, rate) }, url, key, path,
            binary, folder, hasBare);
    }

    private static double Number(string option, string value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number > 0
            && double.IsFinite(number)
            ? number
            : throw new FormatException($"{option} needs a number above 0");
}
