from __future__ import annotations

import pytest

from fmd_otel_dash.router import Page, Router

NOTHING = Page("/<path>", "Not found", lambda _view: None)
OVERVIEW = Page("/overview", "Overview", lambda _view: None, section="dashboard", aliases=("/",))
ENDPOINT = Page("/endpoint/<int:endpoint_id>/versions", "Versions", lambda _view: None, section="endpoint")
NAMED = Page("/graph/<name>", "Graph", lambda _view: None)
ROUTER = Router((OVERVIEW, ENDPOINT, NAMED), NOTHING)


@pytest.mark.parametrize(
    ("path", "page", "params"),
    [
        ("/", OVERVIEW, {}),
        ("", OVERVIEW, {}),
        ("/overview", OVERVIEW, {}),
        ("/overview/", OVERVIEW, {}),
        ("/endpoint/12/versions", ENDPOINT, {"endpoint_id": "12"}),
        ("/graph/a%20b", NAMED, {"name": "a b"}),
        ("/endpoint/x/versions", NOTHING, {}),
        ("/endpoint/-1/versions", NOTHING, {}),
        ("/endpoint/" + "9" * 30 + "/versions", NOTHING, {}),
        ("/endpoint/\u0663/versions", NOTHING, {}),  # a digit, but not one of ours
        ("/overview/more", NOTHING, {}),
        ("/Overview", NOTHING, {}),
        ("//evil.example/overview", NOTHING, {}),
        ("/overview\n", NOTHING, {}),
    ],
)
def test_an_address_leads_to_one_page(path, page, params):
    match = ROUTER.resolve(path)
    assert match.page is page
    assert match.params == params


def test_a_pages_address_is_filled_in_and_leads_back():
    assert ENDPOINT.url({"endpoint_id": "3"}) == "/endpoint/3/versions"
    assert NAMED.url({"name": "a/b c"}) == "/graph/a%2Fb%20c"
    assert ROUTER.resolve(NAMED.url({"name": "a b"})).params == {"name": "a b"}


def test_sections_keep_their_order():
    assert ROUTER.section("dashboard") == (OVERVIEW,)
    assert ROUTER.section("endpoint") == (ENDPOINT,)


def test_an_alias_may_have_placeholders_of_its_own():
    page = Page(
        path="/endpoint/<int:endpoint_id>/grouped-profiler",
        aliases=("/endpoint/<int:endpoint_id>/grouped_profiler",),
        title="Grouped",
        layout=lambda _view: None,
    )
    router = Router([page], page)
    for spelling in ("grouped-profiler", "grouped_profiler"):
        match = router.resolve(f"/endpoint/7/{spelling}")
        assert (match.page, dict(match.params)) == (page, {"endpoint_id": "7"})
