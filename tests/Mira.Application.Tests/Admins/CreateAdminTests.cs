using Mira.Application.Admins;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Moq;

namespace Mira.Application.Tests.Admins;

public class CreateAdminTests
{
    private FakeLedger _ledger = null!;
    private Mock<ITokenFile> _file = null!;
    private string? _written;

    [SetUp]
    public void SetUp()
    {
        _ledger = new FakeLedger();
        _written = null;
        _file = new Mock<ITokenFile>(MockBehavior.Strict);
        _file.Setup(file => file.Write("/keys/first", It.IsAny<string>(), It.IsAny<bool>())).Callback((string _, string token, bool _) =>
        {
            _ledger.Steps.Add("file");
            _written = token;
        });
    }

    [Test]
    public async Task The_first_admin_lives_a_year_and_is_made_by_the_system()
    {
        var created = await SendAsync(new CreateAdmin("first admin", null, OnlyFirst: true));

        var key = _ledger.Keys.Values.Single();
        Assert.That(key.Id.Value, Is.EqualTo(created!.KeyId));
        Assert.That(key.Role, Is.EqualTo(Role.Admin));
        Assert.That(key.Name, Is.EqualTo("first admin"));
        Assert.That(key.CreatedBy, Is.EqualTo("system"));
        Assert.That(key.Current.ExpiresAt, Is.EqualTo(HeldKey.Start.AddDays(365)));
        Assert.That(Opens(created.Token, key));
    }

    [TestCase(true, "bootstrap")]
    [TestCase(false, "recovery")]
    public async Task The_event_says_why_it_was_made(bool onlyFirst, string reason)
    {
        await SendAsync(new CreateAdmin("admin", null, onlyFirst));

        var created = _ledger.Keys.Values.Single().TakeEvents().Single();
        Assert.That(created.Type, Is.EqualTo(EventType.KeyCreated));
        Assert.That(created.Reason, Is.EqualTo(reason));
    }

    [Test]
    public async Task The_file_is_written_before_the_key_is_committed_and_holds_the_only_copy()
    {
        var created = await SendAsync(new CreateAdmin("admin", "/keys/first", OnlyFirst: true));

        Assert.That(_ledger.Steps, Is.EqualTo(new[] { "add", "file", "commit" }));
        Assert.That(created!.Token, Is.Null);
        Assert.That(Opens(_written, _ledger.Keys.Values.Single()));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_file_is_replaced_only_while_the_store_is_empty(bool onlyFirst)
    {
        await SendAsync(new CreateAdmin("admin", "/keys/first", onlyFirst));

        _file.Verify(file => file.Write("/keys/first", It.IsAny<string>(), onlyFirst), Times.Once);
    }

    [Test]
    public void A_file_that_cannot_be_written_leaves_no_key()
    {
        _file.Setup(file => file.Write("/keys/first", It.IsAny<string>(), true)).Throws<IOException>();

        Assert.That(() => SendAsync(new CreateAdmin("admin", "/keys/first", OnlyFirst: true)), Throws.TypeOf<IOException>());
        Assert.That(_ledger.Steps, Does.Not.Contain("commit"));
    }

    [Test]
    public async Task There_is_no_second_first_admin_and_no_file_is_touched()
    {
        _ledger.Put(new HeldKey());

        Assert.That(await SendAsync(new CreateAdmin("admin", "/keys/first", OnlyFirst: true)), Is.Null);

        Assert.That(_ledger.Keys, Has.Count.EqualTo(1));
        _file.VerifyNoOtherCalls();
    }

    [Test]
    public async Task A_lost_admin_can_be_made_again_beside_other_keys()
    {
        _ledger.Put(new HeldKey());

        Assert.That(await SendAsync(new CreateAdmin("admin", null, OnlyFirst: false)), Is.Not.Null);
        Assert.That(_ledger.Keys, Has.Count.EqualTo(2));
    }

    [TestCase("ops", true)]
    [TestCase("  ", false)]
    [TestCase("a\nb", false)]
    public void Its_name_is_a_label(string name, bool valid) =>
        Assert.That(new CreateAdminValidator().Validate(new CreateAdmin(name, null, false)).IsValid, Is.EqualTo(valid));

    private Task<CreatedAdmin?> SendAsync(CreateAdmin message) =>
        new CreateAdminHandler(_ledger, HeldKey.Peppers, _file.Object).Handle(message, CancellationToken.None);

    private static bool Opens(string? text, ApiKey key) =>
        Token.TryParse(text, out var token) && key.Verify(token, HeldKey.Peppers, null, HeldKey.Start).IsValid;
}
