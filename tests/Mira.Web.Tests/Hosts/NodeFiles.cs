namespace Mira.Web.Tests.Hosts;

/// <summary>Where a node of a test keeps what it needs.</summary>
internal static class NodeFiles
{
    extension(TestFolder folder)
    {
        public string Data => folder.At("data");

        /// <summary>The file that the first admin key is written to.</summary>
        public string AdminFile => folder.At("admin-key");

        public string Admin => File.ReadAllText(folder.AdminFile).Trim();
    }
}
