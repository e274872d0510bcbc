"""The attributes of a request's own span: what the instrumentation, and whoever else, has said of it.

Most of them name the request (route, status, user agent); some carry values of it, and those are kept where
somebody has to find out what went wrong, scrubbed: of an ordinary request, no value of a query is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel.web_address import hidden_parts, without_parts
from fmd_otel_exporter import attributes as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel.scrubbing import Scrubber

MOST_VALUES = 500
MOST_CHARACTERS = 32_768
_ADDRESSES = frozenset({"http.url", "http.target", "url.full"})
_QUERY = "url.query"
_CLIENT = frozenset({
    names.CLIENT_ADDRESS, "http.client_ip", "net.peer.ip", "net.peer.name", "net.sock.peer.addr",
    "network.peer.address",
})  # fmt: skip
_HEADER = "http.request.header."
_FORWARDED = ("forwarded", "real_ip", "real-ip", "client_ip", "client-ip", "connecting_ip", "connecting-ip")
_OURS = frozenset({names.RECORDED})


def entry_attributes(  # noqa: PLR0913 # what a request's values may tell depends on the request
    found: Mapping[str, Any],
    scrubber: Scrubber,
    *,
    path_values: Mapping[str, Any],
    is_trouble: bool,
    address: str | None,
    is_address_chosen: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Return a span's attributes fit to be kept, by name, and the paths of what was taken out of them.

    Args:
        found: The span's attributes.
        scrubber: Takes secrets out.
        path_values: The variable parts of the request's path: of ``/reset/<token>``, the token.
        is_trouble: Whether values of the query are kept, as they are of outliers and failures.
        address: The client's address as it is recorded.
        is_address_chosen: Whether the application says what is recorded as address (``get_ip``): nothing else
            may tell it then.
    """
    record = scrubber.record(MOST_VALUES, MOST_CHARACTERS)
    hidden = hidden_parts(path_values, scrubber.names)
    kept: dict[str, Any] = {}
    for name, value in found.items():
        if name in _OURS or (name == _QUERY and not is_trouble):
            continue
        if is_address_chosen and _tells_address(name):
            continue
        kept[name] = _fit(name, value, hidden, is_trouble=is_trouble)
        if hidden and any(part in str(value) for part in hidden):
            record.scrubbed.append(f"attributes.{name}")
    if is_address_chosen and address is not None:
        kept[names.CLIENT_ADDRESS] = address
    shown = record.mapping(
        {name: value for name, value in kept.items() if name not in _ADDRESSES and name != _QUERY},
        "attributes",
    )
    for name in (*_ADDRESSES, _QUERY):
        if name in kept:
            # Not as any text: the parts of an address are told apart.
            scrub = record.query if name == _QUERY else record.url
            shown[name] = scrub(str(kept[name]), f"attributes.{name}")
    return dict(sorted(shown.items())), list(dict.fromkeys(record.scrubbed))


def _fit(name: str, value: Any, hidden: list[str], *, is_trouble: bool) -> Any:
    if isinstance(value, (list, tuple)):
        return [_fit(name, each, hidden, is_trouble=is_trouble) for each in value]
    if not isinstance(value, str):
        return value
    if name in _ADDRESSES and not is_trouble:
        value = value.partition("?")[0]
    return without_parts(value, hidden)


def _tells_address(name: str) -> bool:
    return name in _CLIENT or (name.startswith(_HEADER) and any(each in name for each in _FORWARDED))
