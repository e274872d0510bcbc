"""Requests over the connections that urllib3 keeps, without urllib3.

To it and to the standard library an answer is like a mail: headers are taken apart, looked through and put
together several times, and that takes most of the CPU of a request that brings next to nothing. Here a
request is one piece of bytes, and of an answer only that is read which tells whether it went well and where
it ends. Connections are made, kept and closed as the driver wants them, TLS and all.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from urllib3.exceptions import ProtocolError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

_PIECE = 1 << 16
_END_OF_HEAD = b"\r\n\r\n"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[bytes, bytes]
    """By name, in small letters."""
    body: bytes


class Line:
    """Requests to one server, one at a time."""

    def __init__(self, client: Any) -> None:
        """Use a client's connections; none is made."""
        self._client = client
        self._pool = client.http.connection_from_url(client.url)
        place = urlsplit(client.url)
        self._scheme, self._host = place.scheme, place.netloc

    def post(self, target: str, body: bytes) -> Answer:
        """Send a request, and return the answer.

        Raises:
            HTTPError: There is no connection to be had, or what came is no answer.
            OSError: The connection broke, or it took too long.
        """
        if self._pool.proxy is not None:  # it has a say in what requests look like
            return self._by_proxy(target, body)
        headers = {"Host": self._host, **self._client.headers, "Content-Length": len(body)}
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        connection = self._pool._get_conn()  # noqa: SLF001 # urllib3's own way to a connection, for ages
        keep = False
        try:
            answer, keep = self._exchange(connection, request)
        finally:
            if not keep:
                connection.close()
            self._pool._put_conn(connection)  # noqa: SLF001 # as above; one that is closed is opened again
        return answer

    def _exchange(self, connection: Any, request: bytes) -> tuple[Answer, bool]:
        timeout = self._client.timeout
        if connection.sock is None:
            connection.timeout = timeout.connect_timeout
            connection.connect()
        line = connection.sock
        line.settimeout(timeout.read_timeout)
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever hangs up early may say why
            line.sendall(request)
        return read_answer(line)

    def _by_proxy(self, target: str, body: bytes) -> Answer:
        client, address = self._client, f"{self._scheme}://{self._host}{target}"
        got = client.http.urlopen(
            "POST", address, body=body, headers=client.headers, timeout=client.timeout, retries=False
        )
        headers = {name.lower().encode(): value.encode() for name, value in got.headers.items()}
        return Answer(got.status, headers, bytes(got.data))


def read_answer(line: socket.socket) -> tuple[Answer, bool]:
    """Return what a server says, and whether the connection can be used again.

    Raises:
        ProtocolError: It is no answer of HTTP, or not the whole of one.
    """
    head, rest = _until(line, b"", _END_OF_HEAD)
    first, *lines = head.split(b"\r\n")
    pairs = [each.partition(b":") for each in lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    protocol, _, says = first.partition(b" ")
    status = _number(says.partition(b" ")[0])
    keep = protocol == b"HTTP/1.1" and headers.get(b"connection", b"").lower() != b"close"
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = _chunks(line, rest)
    elif (length := headers.get(b"content-length")) is not None:
        body, _ = _exactly(line, rest, _number(length))
    elif status == HTTPStatus.NO_CONTENT:
        body = b""
    else:
        body, keep = _to_the_end(line, rest), False
    return Answer(status, headers, body), keep


def _until(line: socket.socket, had: bytes, end: bytes) -> tuple[bytes, bytes]:
    """Return what comes before a mark, and what has come after it."""
    while (place := had.find(end)) < 0:
        had += _piece(line)
    return had[:place], had[place + len(end) :]


def _exactly(line: socket.socket, had: bytes, length: int) -> tuple[bytes, bytes]:
    """Return so many bytes, and what has come after them."""
    pieces, there = [had], len(had)
    while there < length:
        pieces.append(_piece(line))
        there += len(pieces[-1])
    had = b"".join(pieces)
    return had[:length], had[length:]


def _chunks(line: socket.socket, had: bytes) -> bytes:
    chunks = []
    while True:
        size, had = _until(line, had, b"\r\n")
        length = _number(size.partition(b";")[0], 16)
        if not length:
            break
        chunk, had = _exactly(line, had, length + 2)
        chunks.append(chunk[:-2])
    while (trailer := _until(line, had, b"\r\n"))[0]:
        had = trailer[1]
    return b"".join(chunks)


def _to_the_end(line: socket.socket, had: bytes) -> bytes:
    pieces = [had]
    while pieces[-1] or len(pieces) == 1:
        pieces.append(line.recv(_PIECE))
    return b"".join(pieces)


def _number(text: bytes, base: int = 10) -> int:
    try:
        return int(text, base)
    except ValueError as exc:
        raise ProtocolError(f"no answer of HTTP: {text[:80]!r}") from exc


def _piece(line: socket.socket) -> bytes:
    piece = line.recv(_PIECE)
    if not piece:
        raise ProtocolError("the connection ended within an answer")
    return piece
