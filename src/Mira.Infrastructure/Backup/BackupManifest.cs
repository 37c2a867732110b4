using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mira.Infrastructure.Backup;

/// <summary>What a backup says of itself: the first entry of its file, and readable without Mira.</summary>
/// <param name="Format">Always <see cref="ThisFormat"/>.</param>
/// <param name="MiraVersion">The version that made it.</param>
/// <param name="Migration">The last migration of its tables.</param>
/// <param name="Epoch">The epoch of its ledger.</param>
/// <param name="Seq">The seq of the last event in it.</param>
/// <param name="Hash">The hash of that event.</param>
/// <param name="Checkpoint">The signed head as the line of a checkpoint; null when the head is not signed.</param>
/// <param name="AuditKey">The text of the public key that signed it.</param>
/// <param name="Secrets">How pepper and audit key are wrapped; null when they were left out.</param>
public sealed record BackupManifest(
    string Format, int FormatVersion, string MiraVersion, DateTimeOffset MadeAt, string Migration, string Epoch, long Seq, string Hash, string? Checkpoint,
    string? AuditKey, IReadOnlyList<BackupPart> Parts, WrapParameters? Secrets)
{
    public const string ThisFormat = "mira-backup";
    public const int NewestVersion = 1;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        // Not for a page of HTML, so quotes in the checkpoint may stay readable.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>What the wrapped secrets are bound to, so that they cannot be moved to another database.</summary>
    [JsonIgnore]
    internal byte[] Binding => JsonSerializer.SerializeToUtf8Bytes(new object[] { Format, FormatVersion, Epoch, Seq, Hash, Part(BackupFile.DatabasePart)?.Sha256 ?? "" });

    internal BackupPart? Part(string name) => Parts.FirstOrDefault(part => part.Name == name);

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    /// <exception cref="JsonException">It is no manifest.</exception>
    /// <exception cref="NewerBackupException">A newer version of Mira made it.</exception>
    internal static BackupManifest Read(byte[] bytes)
    {
        var format = JsonSerializer.Deserialize<FormatOnly>(bytes, Json);
        if (format?.Format != ThisFormat)
            throw new JsonException("It is not of this format.");
        if (format.FormatVersion > NewestVersion)
            throw new NewerBackupException(format.FormatVersion);
        return JsonSerializer.Deserialize<BackupManifest>(bytes, Json) ?? throw new JsonException("It is empty.");
    }

    private sealed record FormatOnly(string Format, int FormatVersion);
}

/// <summary>One file within a backup.</summary>
/// <param name="Sha256">In lower-case hex.</param>
public sealed record BackupPart(string Name, long Size, string Sha256);

/// <summary>The format of a backup is newer than this version knows.</summary>
public sealed class NewerBackupException(int version) : Exception($"The format is {version}.")
{
    public int Version { get; } = version;
}
