"""Users and addresses of an endpoint, as boxes and as circles."""

from __future__ import annotations

import pytest

from fmd_otel_dash.pages.endpoint_subjects import clicked_cell, clicked_user

HOUR = 3_600_000_000


@pytest.fixture
def two_users(now, write):
    """Eve is slow with version 2.0, Bob is busy."""
    for i in range(10):
        write(now - HOUR - i, group_by="bob", ip="10.0.0.1", version="1.0", duration_us=20_000)
    for i in range(4):
        write(now - HOUR - 100 - i, group_by="eve", ip="10.0.0.2", version="1.0", duration_us=20_000)
        write(now - HOUR + 200 + i, group_by="eve", ip="10.0.0.2", version="2.0", duration_us=200_000)


@pytest.mark.usefixtures("two_users")
def test_users_are_boxes_busiest_first(card):
    shown = card("endpoint-subject-boxes", "/endpoint/1/users")
    [figure] = shown.figures
    assert figure["layout"]["yaxis"]["ticktext"] == ["bob", "eve"]
    assert "2 users" in shown.text


@pytest.mark.usefixtures("two_users")
def test_a_user_can_be_searched_for(card):
    shown = card("endpoint-subject-boxes", "/endpoint/1/users", "?q=EV")
    assert shown.figures[0]["layout"]["yaxis"]["ticktext"] == ["eve"]
    assert "No user by that name" in card("endpoint-subject-boxes", "/endpoint/1/users", "?q=zoe").text


@pytest.mark.usefixtures("two_users")
@pytest.mark.parametrize(
    ("page", "names"), [("version_user", ["bob", "eve"]), ("version_ip", ["10.0.0.1", "10.0.0.2"])]
)
def test_circles_are_larger_where_it_was_slower(card, page, names):
    [figure] = card("endpoint-subject-versions", f"/endpoint/1/{page}").figures
    [circles] = figure["data"]
    assert figure["layout"]["yaxis"]["ticktext"] == names
    assert figure["layout"]["xaxis"]["ticktext"] == ["1.0", "2.0"]
    assert list(zip(circles["x"], circles["y"], strict=True)) == [(0, 0), (0, 1), (1, 1)]
    small, _, large = circles["marker"]["size"]
    assert large > 2 * small


@pytest.mark.usefixtures("two_users")
def test_boxes_are_the_other_way_to_see_it(card):
    [figure] = card("endpoint-subject-versions", "/endpoint/1/version_user", "?as=boxes").figures
    assert [trace["name"] for trace in figure["data"] if trace["type"] == "box"] == ["1.0", "2.0"]


@pytest.mark.usefixtures("two_users")
def test_a_circle_and_a_box_lead_to_their_requests(view_of):
    href = clicked_cell(view_of("/endpoint/1/version_ip"), {"customdata": [1, 1]})
    assert "/endpoint/1/requests" in href
    assert "ip=10.0.0.2" in href
    assert "v=2.0" in href
    assert "user=bob" in clicked_user(view_of("/endpoint/1/users"), {"customdata": 0})
    for odd in (None, 7, "x", [9, 9], [1]):
        assert clicked_user(view_of("/endpoint/1/users"), {"customdata": odd}) is None
        assert clicked_cell(view_of("/endpoint/1/version_ip"), {"customdata": odd}) is None


def test_more_users_than_fit_are_reached_page_by_page(now, write, card):
    for number in range(30):
        write([now - HOUR - i for i in range(40 - number)], group_by=f"user{number:02}")
    first = card("endpoint-subject-boxes", "/endpoint/1/users")
    assert "1 to 20" in first.text
    [following] = [link for link in first.links if "skip=20" in link]
    second = card("endpoint-subject-boxes", "/endpoint/1/users", following.partition("?")[2])
    assert second.figures[0]["layout"]["yaxis"]["ticktext"][0] == "user20"
    assert "21 to 30" in second.text


def test_without_group_by_it_says_what_to_set(now, write, card):
    write(now - HOUR, group_by=None)
    assert "group_by" in card("endpoint-subject-boxes", "/endpoint/1/users").text
