"""What is kept of the attributes of a request's own span, whichever spelling the instrumentation uses."""

from __future__ import annotations

import pytest

from fmd_otel.scrubbing import Scrubber
from fmd_otel.traces.entry import entry_attributes

OLD = {
    "http.method": "GET",
    "http.target": "/cart/7?item=7&token=abc",
    "http.url": "http://u:p@shop/cart/7?item=7&token=abc",
    "net.peer.ip": "192.0.2.77",
    "http.status_code": 500,
}
NEW = {
    "http.request.method": "GET",
    "url.path": "/cart/7",
    "url.query": "item=7&token=abc",
    "url.full": "http://u:p@shop/cart/7?item=7&token=abc",
    "client.address": "192.0.2.77",
    "network.peer.address": "192.0.2.77",
    "http.request.header.x_forwarded_for": ("192.0.2.77",),
    "http.request.header.authorization": ("Bearer abc",),
    "http.response.status_code": 500,
}
BOTH = pytest.mark.parametrize("found", [OLD, NEW], ids=["old", "new"])


def kept(found, **options):
    given = {"path_values": {}, "is_trouble": True, "address": "192.0.2.77", "is_address_chosen": False}
    return entry_attributes(found, Scrubber(), **(given | options))


@BOTH
def test_secrets_are_taken_out_and_named(found):
    attributes, scrubbed = kept(found)
    assert "abc" not in str(attributes)
    assert "u:p@" not in str(attributes)
    assert "item=7" in str(attributes)
    assert {path.removeprefix("attributes.") for path in scrubbed} <= set(attributes)
    assert len(scrubbed) >= 2


@BOTH
def test_of_ordinary_requests_the_path_is_kept_without_the_query(found):
    attributes, _ = kept(found, is_trouble=False)
    assert "item" not in str(attributes)
    assert "/cart/7" in str(attributes)


@BOTH
def test_where_the_application_chooses_the_address_no_other_is_kept(found):
    attributes, _ = kept(found, is_address_chosen=True, address="192.0.2.0")
    assert "192.0.2.77" not in str(attributes)
    assert attributes["client.address"] == "192.0.2.0"


@BOTH
def test_where_it_chooses_none_none_is_kept(found):
    attributes, _ = kept(found, is_address_chosen=True, address=None)
    assert "192.0.2" not in str(attributes)


@BOTH
def test_secret_parts_of_the_path_are_taken_out_everywhere(found):
    attributes, scrubbed = kept(found, path_values={"token": "7"})
    assert "/cart/7" not in str(attributes)
    assert scrubbed
