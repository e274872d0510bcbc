"""Requests over the connections that urllib3 keeps, without urllib3.

To it and to the standard library an answer is like a mail: headers are taken apart, looked through and put
together several times, and that takes most of the CPU of a request that brings next to nothing. Here a
request is one piece of bytes, and answers are read by the parser that fast servers use. Connections are made,
kept and closed as the driver wants them, TLS and all.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser
from urllib3.exceptions import ProtocolError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

_PIECE = 1 << 16
_OF_A_LENGTH = {b"content-length", b"transfer-encoding"}


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


class _Reader:
    """Notes what the parser finds in an answer."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.has_headers = self.is_over = False
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.has_headers = True

    def on_message_complete(self) -> None:
        self.is_over = True


def read_answer(line: socket.socket) -> tuple[Answer, bool]:
    """Return what a server says, and whether the connection can be used again.

    Raises:
        ProtocolError: It is no answer of HTTP, or not the whole of one.
    """
    reader = _Reader()
    parser = HttpResponseParser(reader)
    while not reader.is_over:
        piece = line.recv(_PIECE)
        if not piece:
            if reader.has_headers and not _OF_A_LENGTH & reader.headers.keys():
                break  # it goes on to the end of the connection
            raise ProtocolError("the connection ended within an answer")
        try:
            parser.feed_data(piece)
        except HttpParserError as exc:
            raise ProtocolError(f"no answer of HTTP: {piece[:80]!r}") from exc
    # Asked now, the parser itself would speak of the next answer.
    is_last = parser.get_http_version() != "1.1" or reader.headers.get(b"connection", b"").lower() == b"close"
    answer = Answer(parser.get_status_code(), reader.headers, b"".join(reader.pieces))
    return answer, reader.is_over and not is_last
