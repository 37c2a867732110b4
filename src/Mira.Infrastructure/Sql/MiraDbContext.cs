using System.Linq.Expressions;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Query.SqlExpressions;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// How keys, the ledger and stored responses lie in tables. Times are UTC milliseconds, lists are JSON.
/// </summary>
public class MiraDbContext : DbContext
{
    public MiraDbContext(DbContextOptions<MiraDbContext> options)
        : base(options)
    {
    }

    protected MiraDbContext(DbContextOptions options)
        : base(options)
    {
    }

    public DbSet<ApiKey> Keys => Set<ApiKey>();

    public DbSet<Secret> Secrets => Set<Secret>();

    public DbSet<LedgerEvent> Events => Set<LedgerEvent>();

    internal DbSet<KeyChange> KeyChanges => Set<KeyChange>();

    public DbSet<LedgerHead> Heads => Set<LedgerHead>();

    public DbSet<StoredCheckpoint> Checkpoints => Set<StoredCheckpoint>();

    public DbSet<PruningPoint> Begins => Set<PruningPoint>();

    public DbSet<StoredResponseRow> Answers => Set<StoredResponseRow>();

    public DbSet<RecordState> AirtableRows => Set<RecordState>();

    public DbSet<AirtableIntent> AirtableIntents => Set<AirtableIntent>();

    public DbSet<AirtableState> AirtableStates => Set<AirtableState>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        configurationBuilder.Properties<DateTimeOffset>().HaveConversion<MillisecondsConverter>();
        configurationBuilder.Properties<KeyId>().HaveConversion<KeyIdConverter>();
        configurationBuilder.Properties<Digest>().HaveConversion<DigestConverter, DigestComparer>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<ApiKey>(ConfigureKeys);
        modelBuilder.Entity<Secret>(ConfigureSecrets);
        modelBuilder.Entity<LedgerEvent>(ConfigureEvents);
        modelBuilder.Entity<KeyChange>().HasNoKey().ToTable((string?)null).ToSqlQuery(KeyChange.OfSqlite);
        ConfigureProofs(modelBuilder);
        modelBuilder.Entity<StoredResponseRow>(answers =>
        {
            answers.ToTable("answers").HasKey(answer => new { answer.Caller, answer.Key });
            answers.HasIndex(answer => answer.At);
        });
        modelBuilder.Entity<StoreProbe>().ToTable("probe").Property(probe => probe.Id).ValueGeneratedNever();
        AirtableEntities.Configure(modelBuilder);
        ConfigureQuestion(modelBuilder.HasDbFunction(ReadOnlyServer.Question));
        UseSnakeCase(modelBuilder);
    }

    /// <summary>How the database answers <see cref="ReadOnlyServer.IsAnswering"/>.</summary>
    protected virtual void ConfigureQuestion(DbFunctionBuilder question) =>
        question.HasTranslation(_ => new SqlConstantExpression(false, typeof(bool), null));

    private static void ConfigureKeys(EntityTypeBuilder<ApiKey> keys)
    {
        keys.ToTable("keys").HasKey(key => key.Id);
        keys.Ignore(key => key.Permissions).Ignore(key => key.Current).Ignore(key => key.LastUsedAt)
            .Ignore(key => key.LapsesAt).Ignore(key => key.RotatingUntil).Ignore(key => key.IsDoubted);
        keys.Property(key => key.Version).IsConcurrencyToken();
        // The same few texts with every key are kept once: they are names of admin keys, and of peppers below.
        keys.Property(key => key.CreatedBy).HasConversion(by => by, text => string.Intern(text));
        keys.Property(key => key.Role).HasConversion(role => role.Name(), name => ReadRole(name));
        // Compared as the domain compares: what is no change to it must not be written without an event.
        AsJson(keys, key => key.FreePermissions, strings => strings.ToArray(), (left, right) => left!.SequenceEqual(right!), strings => strings.Count);
        AsJson(keys, key => key.Metadata, pairs => Metadata.Of(pairs), (left, right) => Metadata.AreEqual(left!, right!), pairs => pairs.Count);
        keys.Property(key => key.AllowedIps).HasConversion(
            ranges => Serialize(ranges.Select(range => range.ToString())),
            text => Deserialize<string[]>(text).Select(ReadRange).ToArray(),
            new ValueComparer<IReadOnlyList<IpRange>>((left, right) => left!.SequenceEqual(right!), ranges => ranges.Count, ranges => ranges));
        keys.HasMany(key => key.Secrets).WithOne().HasForeignKey(SecretColumns.KeyId).OnDelete(DeleteBehavior.Cascade);
        keys.Navigation(key => key.Secrets).HasField("_secrets");

        // What lists are filtered by; SqlLedgerChange computes them from the key each time it is saved.
        keys.Property<long>(KeyColumns.CreatedSeq);
        keys.Property<string>(KeyColumns.NameFolded).IsRequired();
        keys.Property<string?>(KeyColumns.OwnerFolded);
        keys.Property<DateTimeOffset?>(KeyColumns.LapseAt);
        keys.Property<DateTimeOffset?>(KeyColumns.RotationUntil);
        keys.Property<DateTimeOffset?>(KeyColumns.CurrentExpiresAt);

        // What tells whether the row is as Mira wrote it. Whoever changes a row changes its MAC, so two that do so at
        // once notice each other by it.
        keys.Property<long>(KeyColumns.ChangedSeq);
        keys.Property<string?>(KeyColumns.MacPepperId);
        keys.Property<byte[]?>(KeyColumns.Mac).IsConcurrencyToken();
        keys.HasIndex(KeyColumns.MacPepperId);
        keys.HasIndex(KeyColumns.CreatedSeq).IsUnique();
        keys.HasIndex(nameof(ApiKey.Owner), KeyColumns.CreatedSeq);
        keys.HasIndex(nameof(ApiKey.Role), KeyColumns.CreatedSeq);
        keys.HasIndex(KeyColumns.LapseAt);
    }

    private static void ConfigureSecrets(EntityTypeBuilder<Secret> secrets)
    {
        secrets.ToTable("secrets").HasKey(SecretColumns.KeyId, nameof(Secret.Version));
        secrets.Property<KeyId>(SecretColumns.KeyId);
        secrets.Property(secret => secret.Version).ValueGeneratedNever();
        secrets.Property(secret => secret.PepperId).HasConversion(id => id, text => string.Intern(text));
        secrets.Ignore(secret => secret.Deadline).Ignore(secret => secret.IsSuperseded);
    }

    private static void ConfigureEvents(EntityTypeBuilder<LedgerEvent> events)
    {
        events.ToTable("ledger").HasKey(entry => entry.Seq);
        events.Property(entry => entry.Seq).ValueGeneratedNever();
        events.Ignore(entry => entry.Position).Ignore(entry => entry.ChangesKey).Ignore(entry => entry.IsUnreadable);
        events.HasIndex(entry => new { entry.Subject, entry.Seq });
        events.HasIndex(entry => new { entry.Type, entry.Seq });
        events.HasIndex(entry => new { entry.ActorKeyId, entry.Seq });
        events.HasIndex(entry => new { entry.At, entry.Seq });
    }

    private static void ConfigureProofs(ModelBuilder model)
    {
        model.Entity<LedgerHead>().ToTable("ledger_head").Ignore(head => head.Position).Ignore(head => head.Statement)
            .Property(head => head.Id).ValueGeneratedNever();
        model.Entity<PruningPoint>().ToTable("ledger_begin").Ignore(begin => begin.Statement).Property(begin => begin.Id).ValueGeneratedNever();
        model.Entity<StoredCheckpoint>(checkpoints =>
        {
            checkpoints.ToTable("checkpoints").HasKey(checkpoint => checkpoint.Seq);
            checkpoints.Property(checkpoint => checkpoint.Seq).ValueGeneratedNever();
            checkpoints.Ignore(checkpoint => checkpoint.Statement);
        });
    }

    private static void AsJson<T>(
        EntityTypeBuilder<ApiKey> keys, Expression<Func<ApiKey, T>> property, Func<T, T> copy, Expression<Func<T?, T?, bool>> areEqual, Expression<Func<T, int>> hash)
        where T : class =>
        keys.Property(property).HasConversion(
            value => Serialize(value),
            text => copy(Deserialize<T>(text)),
            new ValueComparer<T>(areEqual, hash, value => value));

    private static string Serialize<T>(T value) => JsonSerializer.Serialize(value);

    private static T Deserialize<T>(string text) => JsonSerializer.Deserialize<T>(text)!;

    private static IpRange ReadRange(string text) =>
        IpRange.TryParse(text, out var range) ? range : throw new FormatException("A stored address range is damaged.");

    private static Role ReadRole(string name) =>
        Roles.TryParse(name, out var role) ? role : throw new FormatException("A stored role is damaged.");

    private static void UseSnakeCase(ModelBuilder model)
    {
        foreach (var property in model.Model.GetEntityTypes().SelectMany(type => type.GetProperties()))
            property.SetColumnName(NameOf(property.Name));

        // Stored databases have this column under an earlier name of the property.
        model.Entity<ApiKey>().Property(key => key.IsQuarantined).HasColumnName("is_withheld");
    }

    protected static string NameOf(string property) => JsonNamingPolicy.SnakeCaseLower.ConvertName(property);

    // A number that no time has is read as the furthest one, so that the check of the chain finds it instead of ending
    // at it.
    private sealed class MillisecondsConverter() : ValueConverter<DateTimeOffset, long>(
        time => time.ToUnixTimeMilliseconds(),
        milliseconds => DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(milliseconds, Earliest, Latest)))
    {
        private static readonly long Earliest = DateTimeOffset.MinValue.ToUnixTimeMilliseconds();
        private static readonly long Latest = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
    }

    private sealed class KeyIdConverter() : ValueConverter<KeyId, string>(id => id.Value, text => ReadKeyId(text))
    {
        private static KeyId ReadKeyId(string text) =>
            KeyId.TryParse(text, out var id) ? id : throw new FormatException("A stored key id is damaged.");
    }

    private sealed class DigestConverter() : ValueConverter<Digest, byte[]>(digest => digest.ToArray(), bytes => Digest.From(bytes));

    private sealed class DigestComparer() : ValueComparer<Digest>((left, right) => Digest.FixedTimeEquals(left, right), digest => 0);
}

/// <summary>Columns of <c>keys</c> that only the store knows.</summary>
internal static class KeyColumns
{
    public const string CreatedSeq = nameof(CreatedSeq);
    public const string NameFolded = nameof(NameFolded);
    public const string OwnerFolded = nameof(OwnerFolded);
    public const string LapseAt = nameof(LapseAt);
    public const string RotationUntil = nameof(RotationUntil);

    /// <summary>When the current secret ends; null for never.</summary>
    public const string CurrentExpiresAt = nameof(CurrentExpiresAt);

    /// <summary>The last event that changed the key.</summary>
    public const string ChangedSeq = nameof(ChangedSeq);

    /// <summary>The id of the pepper that the MAC was made with.</summary>
    public const string MacPepperId = nameof(MacPepperId);
    public const string Mac = nameof(Mac);
}

internal static class SecretColumns
{
    public const string KeyId = nameof(KeyId);
}

/// <summary>The one row that is written to see whether the store can be.</summary>
public sealed class StoreProbe
{
    public const int OnlyId = 1;

    public int Id { get; set; } = OnlyId;

    public DateTimeOffset At { get; set; }
}

/// <summary>An answer remembered for a repeat, without its token.</summary>
public sealed class StoredResponseRow
{
    public required string Caller { get; init; }

    public required string Key { get; init; }

    public required string Fingerprint { get; init; }

    public required string Answer { get; init; }

    public required DateTimeOffset At { get; init; }
}
