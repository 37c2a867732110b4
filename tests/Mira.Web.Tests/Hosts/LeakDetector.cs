using System.Text;

namespace Mira.Web.Tests.Hosts;

/// <summary>
/// Looks for secrets where none may be: a whole token, or its 43 secret characters alone, in UTF-8 or UTF-16.
/// </summary>
internal sealed class LeakDetector
{
    private readonly Dictionary<string, byte[][]> _secrets = [];

    /// <summary>A token: finding its secret part finds the whole as well.</summary>
    public void WatchToken(string token) => Watch(token.Substring(22, 43));

    public void Watch(string secret) => _secrets[secret] = [Encoding.UTF8.GetBytes(secret), Encoding.Unicode.GetBytes(secret)];

    /// <summary>The places that hold a secret.</summary>
    public IReadOnlyList<string> Find(IEnumerable<(string Place, byte[] Content)> places) =>
    [
        .. places.SelectMany(place => _secrets
            .Where(secret => secret.Value.Any(form => place.Content.AsSpan().IndexOf(form) >= 0))
            .Select(secret => $"{place.Place}: {secret.Key[..4]}…")),
    ];

    public IReadOnlyList<string> Find(string place, string text) => Find([(place, Encoding.UTF8.GetBytes(text))]);

    /// <summary>
    /// Every file of a data folder as it is now, also while it is open; the lock is held by its process, and empty.
    /// </summary>
    public static IEnumerable<(string Place, byte[] Content)> Files(string folder)
    {
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(path => Path.GetFileName(path) != "mira.lock"))
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var content = new MemoryStream();
            file.CopyTo(content);
            yield return (Path.GetFileName(path), content.ToArray());
        }
    }
}
