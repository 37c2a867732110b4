using System.Globalization;
using System.Text;

namespace Mira.Load;

/// <summary>One line of a plot.</summary>
/// <param name="Style">The class that gives it its colour.</param>
public sealed record Line(string Name, string Style, IReadOnlyList<(double X, double Y)> Points);

/// <summary>A mark on an axis.</summary>
public sealed record Tick(double At, string Name);

/// <summary>A plot as SVG, which stands in the page itself.</summary>
/// <param name="Title">What is shown, also for those who hear the page.</param>
/// <param name="IsLogarithmic">True when each step of the y axis is ten times the one before.</param>
public sealed record Plot(
    string Title, IReadOnlyList<Line> Lines, IReadOnlyList<Tick> XTicks, IReadOnlyList<Tick> YTicks, bool IsLogarithmic)
{
    private const int Width = 860;
    private const int Height = 300;
    private const int Left = 76;
    private const int Right = 36;
    private const int Top = 14;
    private const int Bottom = 34;

    private double MaximumX => XTicks.Max(tick => tick.At);

    private double MinimumY => YTicks.Min(tick => tick.At);

    private double MaximumY => YTicks.Max(tick => tick.At);

    public string ToSvg()
    {
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture,
            $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{Escape(Title)}\">\n");
        foreach (var tick in YTicks)
        {
            svg.Append(CultureInfo.InvariantCulture,
                $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(tick.At):0.#}\" y2=\"{Y(tick.At):0.#}\"/>");
            svg.Append(CultureInfo.InvariantCulture,
                $"<text x=\"{Left - 8}\" y=\"{Y(tick.At) + 4:0.#}\" text-anchor=\"end\">{Escape(tick.Name)}</text>\n");
        }

        foreach (var tick in XTicks)
        {
            svg.Append(CultureInfo.InvariantCulture,
                $"<text x=\"{X(tick.At):0.#}\" y=\"{Height - 12}\" text-anchor=\"middle\">{Escape(tick.Name)}</text>\n");
        }

        foreach (var line in Lines.Where(line => line.Points.Count > 0))
        {
            var points = string.Join(' ', line.Points.Select(point =>
                string.Create(CultureInfo.InvariantCulture, $"{X(point.X):0.#},{Y(point.Y):0.#}")));
            svg.Append(CultureInfo.InvariantCulture,
                $"<polyline class=\"{line.Style}\" points=\"{points}\"><title>{Escape(line.Name)}</title></polyline>\n");
        }

        svg.Append("</svg>\n<p class=\"legend\">");
        foreach (var line in Lines)
            svg.Append(CultureInfo.InvariantCulture, $"<span class=\"{line.Style}\">{Escape(line.Name)}</span> ");
        return svg.Append("</p>\n").ToString();
    }

    /// <summary>Powers of ten that enclose all values, as marks of an axis of milliseconds.</summary>
    public static IReadOnlyList<Tick> PowersOfTen(IEnumerable<double> values)
    {
        var positive = values.Where(value => value > 0).DefaultIfEmpty(1).ToList();
        var (low, high) = ((int)Math.Floor(Math.Log10(positive.Min())), (int)Math.Ceiling(Math.Log10(positive.Max())));
        high = Math.Max(high, low + 1);
        return [.. Enumerable.Range(low, high - low + 1)
            .Select(power => new Tick(Math.Pow(10, power), $"{Text.Plain(Math.Pow(10, power))} ms"))];
    }

    /// <summary>Five even marks from zero to a round number that encloses the value.</summary>
    public static IReadOnlyList<Tick> Even(double maximum, string unit)
    {
        var magnitude = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(maximum, 1e-3))));
        var top = ((double[])[1, 2, 2.5, 5, 10]).Select(step => step * magnitude)
            .First(step => step >= maximum * (1 - 1e-9));
        return [.. Enumerable.Range(0, 5)
            .Select(step => new Tick(top * step / 4, $"{Text.Plain(top * step / 4)}{unit}"))];
    }

    private double X(double value) => Left + ((Width - Left - Right) * value / MaximumX);

    private double Y(double value)
    {
        var share = IsLogarithmic
            ? Math.Log10(Math.Max(value, MinimumY) / MinimumY) / Math.Log10(MaximumY / MinimumY)
            : (value - MinimumY) / (MaximumY - MinimumY);
        return Height - Bottom - ((Height - Top - Bottom) * share);
    }

    private static string Escape(string text) => System.Net.WebUtility.HtmlEncode(text);
}
