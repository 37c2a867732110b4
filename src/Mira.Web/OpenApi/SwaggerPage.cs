namespace Mira.Web.OpenApi;

/// <summary>
/// The interactive page at <c>/swagger/</c>, and where a browser that asks for the bare address is sent.
/// </summary>
public static class SwaggerPage
{
    private const string Path = "/swagger";
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        + "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

    public static void UseMiraSwagger(this WebApplication app) => app.UseWhen(IsAsked, UsePage);

    private static bool IsAsked(HttpContext context) => context.Request.Path.Value is "/" || context.Request.Path.StartsWithSegments(Path);

    private static void UsePage(IApplicationBuilder app)
    {
        app.Use((context, next) =>
        {
            if (context.Request.Path == "/" && HttpMethods.IsGet(context.Request.Method))
            {
                context.Response.Redirect($"{context.Request.PathBase}{Path}/");
                return Task.CompletedTask;
            }

            if (context.Request.Path.StartsWithSegments(Path))
            {
                context.Response.Headers.ContentSecurityPolicy = ContentSecurityPolicy;
                context.Response.Headers["Referrer-Policy"] = "no-referrer";
            }

            return next(context);
        });
        app.UseSwaggerUi(page =>
        {
            page.Path = Path;
            page.DocumentPath = $"{Path}/v1/swagger.json";
            page.DocumentTitle = "Mira API";
            page.DocExpansion = "list";
            page.PersistAuthorization = false;
            page.DefaultModelsExpandDepth = 0;
        });
    }
}
