using System.Net;
using System.Net.Sockets;
using Mira.Application.Settings;
using Mira.Infrastructure.Sql;
using Npgsql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>What is set where the connection string says nothing, and left alone where it does.</summary>
public sealed class PostgresOptionsTests
{
    [TestCase("", 30)]
    [TestCase("Maximum Pool Size=100", 100)]
    [TestCase("maxpoolsize=5", 5)]
    [TestCase("Minimum Pool Size=40", 40)]
    public void At_most_30_connections_are_pooled_unless_another_number_is_given(string given, int expected)
    {
        foreach (var text in (string[])[Read(given).Calls, Read(given).Reading])
            Assert.That(new NpgsqlConnectionStringBuilder(text).MaxPoolSize, Is.EqualTo(expected));
    }

    [Test]
    public void Without_a_pooler_the_server_is_told_the_limits_of_time_at_once_and_may_be_listened_to()
    {
        var options = Read("Options=-c search_path=mira");
        Assert.That((options.HasPooler, options.KeepsSessions), Is.EqualTo((false, true)));
        Assert.That(
            new NpgsqlConnectionStringBuilder(options.Calls).Options,
            Is.EqualTo("-c search_path=mira -c lock_timeout=1500 -c statement_timeout=1800 -c idle_in_transaction_session_timeout=4000"));
    }

    [TestCase("", 1)]
    [TestCase("Host Recheck Seconds=5", 5)]
    public void Which_of_several_hosts_is_the_primary_is_believed_for_a_second_unless_another_time_is_given(string given, int expected) =>
        Assert.That(new NpgsqlConnectionStringBuilder(Read($"Host=one,other;{given}").Calls).HostRecheckSeconds, Is.EqualTo(expected));

    /// <summary>Connections to them are still being opened when the start gives up.</summary>
    [Test]
    public void Servers_that_never_answer_are_said_to_be_unreachable()
    {
        using var silent = new Servers(5);
        var options = PostgresOptions.Read(new SettingReader(_ => $"Host={silent.Hosts};Database=mira;Username=mira"));

        Assert.That(
            () => options.FindPoolerAsync(CancellationToken.None),
            Throws.TypeOf<SettingException>().With.Message.Contains("MIRA_POSTGRES"));
    }

    private static PostgresOptions Read(string given) => PostgresOptions.Read(new SettingReader(_ => $"Host=one;Database=mira;{given}"));

    /// <summary>Servers that take a connection and never say anything.</summary>
    private sealed class Servers : IDisposable
    {
        private readonly TcpListener[] _all;

        public Servers(int count)
        {
            _all = [.. Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0))];
            foreach (var one in _all)
                one.Start();
        }

        public string Hosts => string.Join(',', _all.Select(one => $"127.0.0.1:{((IPEndPoint)one.LocalEndpoint).Port}"));

        public void Dispose()
        {
            foreach (var one in _all)
                one.Dispose();
        }
    }
}
