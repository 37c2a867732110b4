using AutoMapper;
using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Keys;

namespace Mira.Application.Tests;

/// <summary>The mapper as the host makes it.</summary>
internal static class Views
{
    public static MapperConfiguration Configuration { get; } =
        new(map => map.AddMaps(typeof(KeyView).Assembly), NullLoggerFactory.Instance);

    public static IMapper Mapper { get; } = Configuration.CreateMapper();
}
