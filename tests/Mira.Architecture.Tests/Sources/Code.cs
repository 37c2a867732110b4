using System.Text;

namespace Mira.Architecture.Tests.Sources;

/// <summary>
/// Tells code from comments and literals, so that a rule about code is not fooled by a text about it. Every character
/// stays at its place; what does not belong becomes a blank. Code within the holes of an interpolated text is code.
/// </summary>
internal sealed class Code
{
    private readonly string _text;
    private readonly StringBuilder _code;
    private readonly StringBuilder _comments;
    private int _at;

    private Code(string text)
    {
        _text = text;
        _code = new StringBuilder(text.Length);
        _comments = new StringBuilder(text.Length);
        ReadCode(inHole: false);
    }

    private enum Part
    {
        Code,
        Comment,
        Literal,
    }

    public static string Of(string text) => new Code(text)._code.ToString();

    public static string CommentsOf(string text) => new Code(text)._comments.ToString();

    private void ReadCode(bool inHole)
    {
        var depth = 0;
        while (_at < _text.Length)
        {
            if (inHole && _text[_at] == '}' && depth-- == 0)
                return;

            if (!TryReadComment() && !TryReadCharacter() && !TryReadText())
            {
                depth += _text[_at] == '{' ? 1 : 0;
                Take(1, Part.Code);
            }
        }
    }

    private bool TryReadComment()
    {
        var isLine = Starts("//");
        if (!isLine && !Starts("/*"))
            return false;

        var end = _text.IndexOf(isLine ? "\n" : "*/", _at, StringComparison.Ordinal);
        Take((end < 0 ? _text.Length : isLine ? end : end + 2) - _at, Part.Comment);
        return true;
    }

    private bool TryReadCharacter()
    {
        if (_text[_at] != '\'')
            return false;

        Take(1, Part.Code);
        while (_at < _text.Length && _text[_at] is not ('\'' or '\n'))
            Take(_text[_at] == '\\' ? 2 : 1, Part.Literal);
        Take(1, Part.Code);
        return true;
    }

    private bool TryReadText()
    {
        var start = _at;
        while (start < _text.Length && _text[start] is '$' or '@')
            start++;
        if (start == _text.Length || _text[start] != '"')
            return false;

        var prefix = _text[_at..start];
        Take(prefix.Length, Part.Code);
        var quotes = CountOf('"');
        var holes = prefix.Count(character => character == '$');
        if (quotes == 2)
            Take(2, Part.Code);
        else if (quotes > 2)
            ReadRaw(quotes, holes);
        else
            ReadQuoted(isVerbatim: prefix.Contains('@', StringComparison.Ordinal), holes > 0);
        return true;
    }

    private void ReadRaw(int quotes, int holes)
    {
        Take(quotes, Part.Code);
        while (_at < _text.Length && CountOf('"') < quotes)
        {
            var braces = CountOf('{');
            if (holes > 0 && braces >= holes)
                ReadHole(braces, holes);
            else
                Take(1, Part.Literal);
        }

        Take(quotes, Part.Code);
    }

    private void ReadQuoted(bool isVerbatim, bool hasHoles)
    {
        Take(1, Part.Code);
        while (_at < _text.Length && (isVerbatim || _text[_at] != '\n'))
        {
            var isEscape = isVerbatim ? Starts("\"\"") : _text[_at] == '\\';
            if (_text[_at] == '"' && !isEscape)
                break;

            if (hasHoles && _text[_at] == '{' && !Starts("{{"))
                ReadHole(1, 1);
            else
                Take(isEscape || Starts("{{") ? 2 : 1, Part.Literal);
        }

        Take(1, Part.Code);
    }

    private void ReadHole(int opening, int closing)
    {
        Take(opening, Part.Literal);
        ReadCode(inHole: true);
        Take(closing, Part.Literal);
    }

    private bool Starts(string mark) => string.CompareOrdinal(_text, _at, mark, 0, mark.Length) == 0;

    private int CountOf(char character) => _text.AsSpan(_at).IndexOfAnyExcept(character) is var count && count < 0 ? _text.Length - _at : count;

    private void Take(int count, Part part)
    {
        for (var end = Math.Min(_at + count, _text.Length); _at < end; _at++)
        {
            var character = _text[_at];
            _code.Append(part == Part.Code || character == '\n' ? character : ' ');
            _comments.Append(part == Part.Comment || character == '\n' ? character : ' ');
        }
    }
}
