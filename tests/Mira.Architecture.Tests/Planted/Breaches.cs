using AutoMapper;
using MediatR;
using Microsoft.EntityFrameworkCore;
using Mira.Infrastructure.Files;

namespace Mira.Architecture.Tests.Planted;

/// <summary>Types that break a rule, each in a way in which compiled code can hide it.</summary>
internal static class NamesInfrastructure
{
    internal sealed class InLambda
    {
        public Func<string> Find { get; } = () => new SafeFile().ToString()!;
    }

    internal sealed class InAsyncMethod
    {
        public async Task<string> FindAsync()
        {
            await Task.CompletedTask;
            var file = new SafeFile();
            await Task.CompletedTask;
            return file.ToString()!;
        }
    }

    internal sealed class InTypeArgument
    {
        public Dictionary<string, List<DataFolder>> Folders { get; } = [];
    }

    internal sealed class InTypeOf
    {
        public Type Type { get; } = typeof(SafeFile);
    }

    internal sealed class InIterator
    {
        public IEnumerable<string> Find()
        {
            yield return new SafeFile().ToString()!;
        }
    }

    internal sealed class InLocalFunction
    {
        public string Find()
        {
            return Inner();

            string Inner() => new SafeFile().ToString()!;
        }
    }

    internal sealed class InStaticCall
    {
        public object? Find(object text) => DataFolder.At((string)text, "");
    }

    internal sealed class InGenericCall
    {
        public object? Find(IEnumerable<object> all) => all.OfType<SafeFile>().FirstOrDefault();
    }
}

internal static class VerifiesSlowly
{
    internal sealed class WithMediator(IMediator mediator)
    {
        public async Task SendAsync(IRequest message) => await mediator.Send(message);
    }

    internal sealed class WithMapper(IMapper mapper)
    {
        public string Map(object key) => mapper.Map<string>(key);
    }

    internal sealed class WithDatabase
    {
        public Func<DbContext, string> Name { get; } = context => context.Database.ProviderName!;
    }
}

internal static class KnowsTheOutside
{
    internal sealed class Http
    {
        public async Task<string> FetchAsync(HttpClient client) => await client.GetStringAsync("/");
    }

    internal sealed class Web
    {
        public Func<object, int> Status { get; } = context => ((Microsoft.AspNetCore.Http.HttpContext)context).Response.StatusCode;
    }

    internal sealed class Database
    {
        public int Write(System.Data.Common.DbCommand command) => command.ExecuteNonQuery();
    }

    internal sealed class EntityFramework
    {
        public object? Find(DbContext context) => context.Set<Mira.Domain.Keys.ApiKey>().FirstOrDefault();
    }
}

internal static class KnowsMoreThanThePlatform
{
    internal sealed class Logger(Microsoft.Extensions.Logging.ILogger log)
    {
        public bool IsOn => log.IsEnabled(Microsoft.Extensions.Logging.LogLevel.Debug);
    }

    internal sealed class Files
    {
        public Func<string, string> Read { get; } = File.ReadAllText;
    }

    internal sealed class Screen
    {
        public void Say() => Console.Out.WriteLine();
    }

    internal sealed class Upwards
    {
        public System.Type Type { get; } = typeof(Mira.Application.Verification.IKeyStore);
    }
}
