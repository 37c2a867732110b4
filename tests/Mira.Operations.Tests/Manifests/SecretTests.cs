using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using k8s.Models;

namespace Mira.Operations.Tests.Manifests;

/// <summary>
/// The commands of docs/kubernetes.md that make the secrets, pasted into a shell. Only what reaches a cluster goes to a
/// stand-in.
/// </summary>
internal sealed class SecretTests
{
    [Test]
    public async Task The_pasted_commands_make_the_secrets_that_a_node_and_a_backup_need()
    {
        await Overlay.DemandKubectlAsync();
        using var folder = new TestFolder();
        var secrets = Overlay.Load(await PasteAsync(folder)).OfType<V1Secret>()
            .ToDictionary(secret => secret.Metadata.Name);
        foreach (var expected in Overlay.ExampleSecrets)
        {
            var made = secrets[expected.Metadata.Name];
            Assert.That(made.Metadata.NamespaceProperty, Is.EqualTo(expected.Metadata.NamespaceProperty));
            Assert.That(made.Data.Keys, Is.EquivalentTo(expected.StringData.Keys));
        }

        Assert.That(secrets["mira-backup"].Data["PGUSER"], Is.EqualTo("mira_backup"u8.ToArray()));
        Assert.That(Convert.FromBase64String(Value("MIRA_PEPPER")), Has.Length.EqualTo(32));
        Assert.That(Value("MIRA_POSTGRES"), Does.StartWith("Host=").And.Not.Contain("\n"));
        using var key = ECDsa.Create();
        key.ImportFromPem(Value("MIRA_AUDIT_KEY"));
        Assert.That(key.KeySize, Is.EqualTo(256));

        string Value(string name) => Encoding.UTF8.GetString(secrets["mira"].Data[name]);
    }

    /// <summary>Returns what was applied.</summary>
    private static async Task<string> PasteAsync(TestFolder folder)
    {
        var document = RepositoryFiles.Read("docs", "kubernetes.md");
        var begin = document.IndexOf("MIRA_POSTGRES='", StringComparison.Ordinal);
        var commands = document[begin..document.IndexOf("```", begin, StringComparison.Ordinal)];
        var (found, real) = await Shell.RunAsync(folder.Root, "which", "kubectl");
        Assert.That(found, Is.Zero, real);
        File.WriteAllText(folder.At("kubectl"), $"""
            #!/bin/sh
            case "$1 $2 $3" in
                'apply -f -') printf -- '---\n'; cat ;;
                'apply -f '*) printf -- '---\n'; cat "$3" ;;
                *) exec {real.Trim()} "$@" ;;
            esac
            """);
        File.SetUnixFileMode(folder.At("kubectl"), UnixFileMode.UserRead | UnixFileMode.UserExecute);

        var start = new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", commands])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = RepositoryFiles.Root,
        };
        start.Environment["PATH"] = $"{folder.Root}:{start.Environment["PATH"]}";
        start.Environment["TMPDIR"] = folder.Root;
        using var shell = Process.Start(start)!;
        var (output, error) = (shell.StandardOutput.ReadToEndAsync(), shell.StandardError.ReadToEndAsync());
        await shell.WaitForExitAsync();
        Assert.That(shell.ExitCode, Is.Zero, await error);
        return await output;
    }
}
