"""A request as a command line that sends it again, without the secrets it had."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MADE_BY_CURL = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}
_SCRUBBED = "[scrubbed]"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_AS_IT_IS = ("--globoff", "--path-as-is")
"""Brackets and braces in a URL are no lists of addresses, and dots in it are sent."""


def curl(document: Mapping[str, Any]) -> str:
    """Return an OutlierDocument as a ``curl`` command.

    What was scrubbed is left out, and named after the command: it says what is missing rather than sending a
    placeholder. A no-op of the shell says so and no comment, as not every shell has those where one types.
    """
    scrubbed = document.get("scrubbed")
    missing = {str(each) for each in scrubbed} if isinstance(scrubbed, list) else set()
    kind = _content_type(document.get("headers"))
    body, left_out = _body(document, kind)
    missing |= left_out
    method = str(document.get("method") or "GET")
    parts = ["curl", *_AS_IT_IS, *(["--head"] if method == "HEAD" else ["-X", method])]
    for name, value in _pairs(document.get("headers")):
        if not _HEADER_NAME.fullmatch(name) or f"headers.{name}" in missing or _SCRUBBED in value:
            missing.add(f"headers.{name}")
        elif name.lower() not in _MADE_BY_CURL and not (
            # The boundary between the parts is another one.
            name.lower() == "content-type" and _is_multipart(kind)
        ):
            parts += ["-H", f"{name}: {value}"]
    parts += [*body, "--url", _address(str(document.get("url") or ""))]
    command = " ".join(shlex.quote(_one_line(part)) for part in parts)
    if missing:
        command += " && : " + shlex.quote("left out: " + ", ".join(sorted(map(_one_line, missing))))
    return command


def _body(document: Mapping[str, Any], kind: str) -> tuple[list[str], set[str]]:
    """Return the options that send the body, and what of it is missing beyond what is said to be scrubbed."""
    form, body = document.get("form"), document.get("json")
    if body is not None:
        kept = _without_scrubbed(body)
        return ([] if kept is _NOTHING else ["--data-raw", json.dumps(kept, ensure_ascii=False)]), set()
    fields = [(name, value) for name, value in _pairs(form) if _SCRUBBED not in value]
    if _is_multipart(kind):
        options = [each for name, value in fields for each in ("--form-string", f"{name}={value}")]
        return options, {"files"}
    if fields:
        return ["--data-raw", urlencode(fields)], set()
    size = document.get("payload_bytes")
    return [], {"body"} if isinstance(size, int) and size > 0 and not form else set()


_NOTHING = object()


def _without_scrubbed(value: Any) -> Any:
    """Return a value without the parts that were scrubbed; ``_NOTHING`` where that is all of it."""
    if isinstance(value, dict):
        kept = {name: _without_scrubbed(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each is not _NOTHING}
    if isinstance(value, list):
        return [each for each in map(_without_scrubbed, value) if each is not _NOTHING]
    return _NOTHING if isinstance(value, str) and _SCRUBBED in value else value


def _address(url: str) -> str:
    """Return an address without what was scrubbed in its query, or before its host."""
    address, mark, query = url.partition("?")
    scheme, slashes, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    user, _, bare_host = host.rpartition("@")
    if _SCRUBBED in user:
        address = f"{scheme}{slashes}{bare_host}{slash}{path}"
    parts = re.split("([&;])", query)
    kept = [
        (parts[place - 1] if place else "", parts[place])
        for place in range(0, len(parts), 2)
        if _SCRUBBED not in unquote(parts[place])
    ]
    text = "".join(separator * bool(number) + part for number, (separator, part) in enumerate(kept))
    return address + (mark + text if text else "")


def _content_type(headers: Any) -> str:
    return next((value for name, value in _pairs(headers) if name.lower() == "content-type"), "").lower()


def _is_multipart(kind: str) -> bool:
    return kind.startswith("multipart/form-data")


def _pairs(found: Any) -> Iterator[tuple[str, str]]:
    for name, value in found.items() if isinstance(found, dict) else ():
        values: Iterable[Any] = value if isinstance(value, list) else [value]
        for each in values:
            yield str(name), str(each)


def _one_line(text: str) -> str:
    """Return a text that cannot end the command: whatever is pasted into a shell is carried out."""
    return "".join(c if c.isprintable() else " " for c in text)
