"""What a request carried: taken when it is over, and only as far as the application has read it itself.

Nothing is read from the client here. A body that the view did not want, or still streams from, stays where
it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus

from fmd_otel.otel_internals import cached_body, parsed_form
from fmd_otel.web_address import address_of, hidden_parts, without_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fmd_otel.scrubbing import Scrubbed, Scrubber
    from fmd_otel_exporter.documents import OutlierDocument

MOST_FIELDS = 200
"""Of a query or a form."""
MOST_BODY = 65_536
"""Bytes of a JSON body that are looked at."""
_MOST_QUERY = 16_384
_REQUEST_PREFIX = "HTTP_"
_CONTENT = ("CONTENT_TYPE", "CONTENT_LENGTH")
# Some servers mix the process's variables in, with all their secrets: what is not of the request stays out.
_ENVIRONMENT = frozenset({
    "AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE", "GATEWAY_INTERFACE", "PATH_INFO", "QUERY_STRING",
    "RAW_URI", "REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT", "REMOTE_USER", "REQUEST_METHOD", "REQUEST_URI",
    "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "SSL_CIPHER",
    "SSL_PROTOCOL", "wsgi.input_terminated", "wsgi.multiprocess", "wsgi.multithread", "wsgi.run_once",
    "wsgi.url_scheme",
})  # fmt: skip
_ADDRESSES = frozenset({"RAW_URI", "REQUEST_URI", "HTTP_REFERER"})


class Values(NamedTuple):
    """What is taken on the request's own thread: references and texts, nothing worked out yet."""

    environ: dict[str, Any]
    form: list[tuple[str, str]]
    body: bytes | None
    path_values: dict[str, Any]
    payload_bytes: int | None


def take_values(request: Any) -> Values:
    """Take what a request carried, the moment it is over."""
    environ: Mapping[str, Any] = request.environ
    kept = {
        name: value
        for name, value in environ.items()
        if (name.startswith(_REQUEST_PREFIX) or name in _ENVIRONMENT) and isinstance(value, (str, bool))
    }
    length = environ.get("CONTENT_LENGTH") or ""
    is_json = "json" in (environ.get("CONTENT_TYPE") or "").lower()
    return Values(
        kept,
        parsed_form(request, MOST_FIELDS + 1),
        cached_body(request, MOST_BODY + 1) if is_json else None,
        dict(getattr(request, "view_args", None) or {}),
        int(length) if length.isascii() and length.isdigit() else None,
    )


def describe_values(document: OutlierDocument, values: Values, scrubber: Scrubber) -> None:
    """Write into a document what a request carried, scrubbed."""
    record = scrubber.record()
    hidden = hidden_parts(values.path_values, scrubber.names)
    environ = {
        name: without_parts(value, hidden) if isinstance(value, str) else value
        for name, value in values.environ.items()
    }
    if hidden:
        record.scrubbed.append("url")
        changed = [name for name, value in environ.items() if value != values.environ[name]]
        record.scrubbed += [f"environ.{name}" for name in changed if name in _ENVIRONMENT]
        record.scrubbed += [f"headers.{_header_name(name)}" for name in changed if name not in _ENVIRONMENT]
    document["url"] = record.url(without_parts(address_of(values.environ), hidden), "url")
    document["method"] = str(environ.get("REQUEST_METHOD", ""))
    query = str(environ.get("QUERY_STRING", ""))[:_MOST_QUERY]
    document["args"] = record.mapping(_by_name(_fields(query), "args", record), "args")
    if values.form:
        document["form"] = record.mapping(_by_name(values.form, "form", record), "form")
    if values.body is not None:
        _describe_body(document, values.body, record)
    document["headers"] = _headers(environ, record)
    document["environ"] = _environment(environ, record)
    if values.payload_bytes is not None:
        document["payload_bytes"] = values.payload_bytes
    document["scrubbed"] = list(dict.fromkeys(record.scrubbed))
    document["truncated"] = [*document.get("truncated", []), *record.truncated]


def _describe_body(document: OutlierDocument, body: bytes, record: Scrubbed) -> None:
    import json  # noqa: PLC0415 # few requests come here

    if len(body) > MOST_BODY:
        record.truncated.append("json")
        return
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        # Whatever it is, nobody can tell which part of it is secret.
        record.truncated.append("json")
        return
    document["json"] = record.value(found, "json")


def _headers(environ: Mapping[str, Any], record: Scrubbed) -> dict[str, Any]:
    names = [name for name in environ if name.startswith(_REQUEST_PREFIX) or name in _CONTENT]
    headers = {_header_name(name): environ[name] for name in names}
    return record.mapping({name: value for name, value in headers.items() if value != ""}, "headers")


def _header_name(name: str) -> str:
    return name.removeprefix(_REQUEST_PREFIX).replace("_", "-").title()


def _environment(environ: Mapping[str, Any], record: Scrubbed) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted(environ):
        if name not in _ENVIRONMENT:
            continue
        value, path = environ[name], f"environ.{name}"
        if name in _ADDRESSES:
            found[name] = record.url(value, path)
        elif name == "QUERY_STRING":
            found[name] = record.query(value, path)
        else:
            found[name] = record.value(value, path)
    return found


def _fields(query: str) -> list[tuple[str, str]]:
    fields = []
    for part in query.split("&", MOST_FIELDS + 1)[: MOST_FIELDS + 1]:
        name, _, value = part.partition("=")
        if name or value:
            fields.append((unquote_plus(name), unquote_plus(value)))
    return fields


def _by_name(fields: Iterable[tuple[str, str]], path: str, record: Scrubbed) -> dict[str, Any]:
    """Return one value for each name, or a list where it stands several times."""
    found: dict[str, list[str]] = {}
    for number, (name, value) in enumerate(fields):
        if number >= MOST_FIELDS:
            record.truncated.append(path)
            break
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
