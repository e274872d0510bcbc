"""A request as a command line that sends it again, without the secrets it had."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MADE_BY_CURL = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


def curl(document: Mapping[str, Any]) -> str:
    """Return an OutlierDocument as a ``curl`` command.

    What was scrubbed is left out, and named in a comment: the command says what is missing rather than
    sending a placeholder.
    """
    scrubbed = document.get("scrubbed")
    hidden = {str(each) for each in scrubbed} if isinstance(scrubbed, list) else set()
    parts = ["curl", "-X", str(document.get("method") or "GET")]
    for name, value in _pairs(document.get("headers")):
        if name.lower() not in _MADE_BY_CURL and f"headers.{name}" not in hidden:
            parts += ["-H", f"{name}: {value}"]
    form, body = document.get("form"), document.get("json")
    if body is not None:
        parts += ["--data-raw", json.dumps(body, ensure_ascii=False)]
    elif isinstance(form, dict) and form:
        parts += ["--data-raw", urlencode(list(_pairs(form)))]
    parts.append(str(document.get("url") or ""))
    command = " ".join(shlex.quote(_one_line(part)) for part in parts)
    if hidden:
        command += "  # removed before it was stored: " + ", ".join(sorted(map(_one_line, hidden)))
    return command


def _pairs(found: Any) -> Iterator[tuple[str, str]]:
    for name, value in found.items() if isinstance(found, dict) else ():
        for each in value if isinstance(value, list) else [value]:
            yield str(name), str(each)


def _one_line(text: str) -> str:
    """Return a text that cannot end the command: whatever is pasted into a shell is carried out."""
    return "".join(c if c.isprintable() else " " for c in text)
