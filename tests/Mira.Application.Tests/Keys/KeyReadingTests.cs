using Mira.Application.Keys;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Keys;

public class KeyReadingTests
{
    [Test]
    public async Task A_key_is_shown_to_who_may_see_it_and_to_others_it_does_not_exist()
    {
        var held = new HeldKey();
        var store = new FakeKeyStore();
        store.Put(held);
        var handler = new GetKeyHandler(store, Views.Mapper, new TwoClocks());
        var stranger = new Viewpoint(KeyId.Generate(), Role.Viewer, null);

        var view = await handler.Handle(new GetKey(held.Id.Value, stranger with { Role = Role.Operator }), default);

        Assert.That(view.KeyId, Is.EqualTo(held.Id.Value));
        Assert.That(() => handler.Handle(new GetKey(held.Id.Value, stranger), default), Throws.TypeOf<UnknownKeyException>());
        Assert.That(() => handler.Handle(new GetKey(KeyId.Generate().Value, stranger), default), Throws.TypeOf<UnknownKeyException>());
        Assert.That(() => handler.Handle(new GetKey("nonsense", stranger), default), Throws.TypeOf<UnknownKeyException>());
    }

    [Test]
    public async Task A_list_passes_on_what_is_asked_for_and_says_where_the_next_page_begins()
    {
        var store = new FakeKeyStore { Found = [.. Enumerable.Range(1, 4).Select(i => (new HeldKey().Key, 10L - i))] };
        var handler = new ListKeysHandler(store, Views.Mapper, new TwoClocks());
        var viewpoint = new Viewpoint(KeyId.Generate(), Role.Admin, null);

        var page = await handler.Handle(new ListKeys("admin", "rotating", "te\u0301am", "q", "3", Cursor.Write("k", 77), viewpoint), default);

        Assert.That(store.LastFilter, Is.EqualTo(new KeyFilter(Role.Admin, KeyStatus.Rotating, "téam", "q", viewpoint, HeldKey.Start, 77, 4)));
        Assert.That(page.Keys.Select(view => view.KeyId), Is.EqualTo(store.Found.Take(3).Select(row => row.Key.Id.Value)));
        Assert.That(page.NextCursor, Is.EqualTo(Cursor.Write("k", 7)));
    }

    [Test]
    public async Task The_last_page_names_no_next_one_and_fifty_rows_are_the_default()
    {
        var store = new FakeKeyStore();
        var handler = new ListKeysHandler(store, Views.Mapper, new TwoClocks());

        var page = await handler.Handle(new ListKeys(null, null, null, null, null, null, new Viewpoint(KeyId.Generate(), Role.Admin, null)), default);

        Assert.That(page.NextCursor, Is.Null);
        Assert.That(store.LastFilter!.Limit, Is.EqualTo(51));
        Assert.That((store.LastFilter.Role, store.LastFilter.Status, store.LastFilter.Before), Is.EqualTo(((Role?)null, (KeyStatus?)null, (long?)null)));
    }
}
