using System.CommandLine;
using MediatR;
using Mira.Application.Admins;

namespace Mira.Web.Commands;

/// <summary><c>admin create</c>: makes an admin key without one.</summary>
public static class AdminCommand
{
    public static Command Make(Func<string, string?, CancellationToken, Task> act)
    {
        var name = new Option<string>("--name") { Description = "What people call the new key", Required = true };
        var file = new Option<string?>("--file") { Description = "Where the token is written (mode 0600) instead of shown" };
        var create = new Command("create", "Makes an admin key: the way back in when all are lost") { name, file };
        create.SetAction((line, cancellationToken) => act(line.GetRequiredValue(name), line.GetValue(file), cancellationToken));
        return new Command("admin", "Admin keys") { create };
    }

    /// <summary>Makes an admin key without one, and shows it here when it goes to no file.</summary>
    public static async Task RunAsync(IServiceProvider services, string name, string? file, CancellationToken cancellationToken)
    {
        await using var scope = services.CreateAsyncScope();
        var created = await scope.ServiceProvider.GetRequiredService<IMediator>()
            .Send(new CreateAdmin(name, file, OnlyFirst: false), cancellationToken);
        Console.Out.WriteLine(created!.Token ?? $"{created.KeyId} is written to {file}");
    }
}
