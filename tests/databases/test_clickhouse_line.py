"""The short way to ClickHouse over connections of urllib3, whose servers and proxies answer as they like."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from clickhouse_connect import dbapi
from urllib3 import PoolManager, ProxyManager, Timeout
from urllib3.exceptions import HTTPError, ProtocolError

from fmd_otel_exporter.dialects.clickhouse_line import Line, read_answer
from fmd_otel_exporter.dialects.clickhouse_wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "of a length": (OK + b"Content-Length: 5\r\n\r\nhello", (200, b"hello", True)),
    "of no length": (OK + b"content-length: 0\r\n\r\n", (200, b"", True)),
    "in chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
        (200, b"hello world", True),
    ),
    "with a trailer": (
        OK + b"transfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX-Note: b\r\nX-More: c\r\n\r\n",
        (200, b"a", True),
    ),
    "the last one": (OK + b"Connection: Close\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False)),
    "to the end": (OK + b"\r\nall there is", (200, b"all there is", False)),
    "of an older server": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False)),
    "without a reason": (b"HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno", (404, b"no", True)),
    "of nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True)),
}
CUT = [name for name in ANSWERS if name != "to the end"]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.settimeout(10)
        yield ours, theirs


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_is_read_in_whatever_pieces_it_comes(ends, name: str, size: int):
    ours, theirs = ends
    said, wanted = ANSWERS[name]

    def say() -> None:
        for start in range(0, len(said), size):
            theirs.sendall(said[start : start + size])
        if name == "to the end":
            theirs.close()

    speaker = threading.Thread(target=say)
    speaker.start()
    answer, keep = read_answer(ours)
    speaker.join()
    assert (answer.status, answer.body, keep) == wanted


@pytest.mark.parametrize("name", CUT)
def test_half_an_answer_is_none(ends, name: str):
    ours, theirs = ends
    said, _ = ANSWERS[name]
    theirs.sendall(said[:-1])
    theirs.close()
    with pytest.raises(ProtocolError, match="ended within an answer"):
        read_answer(ours)


@pytest.mark.parametrize(
    "said",
    [
        b"220 mail.example.com ESMTP\r\n\r\n",
        b"\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nmany\r\n",
    ],
)
def test_what_is_no_answer_of_http_is_told(ends, said: bytes):
    ours, theirs = ends
    theirs.sendall(said)
    theirs.close()
    with pytest.raises(ProtocolError):
        read_answer(ours)


class Scripted:
    """A server that answers one connection after the other, each with some answers, and then hangs up."""

    def __init__(self, *connections: tuple[bytes, ...]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked: list[bytes] = []
        self.connections = 0
        self._script = connections
        self.hung_up = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            for answers in self._script:
                connection, _ = self._socket.accept()
                self.connections += 1
                with connection:
                    for answer in answers:
                        self.asked.append(self._request(connection))
                        connection.sendall(answer)
                self.hung_up.release()

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(1 << 16)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(1 << 16)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
        self._socket.close()
        self._thread.join(10)


def client_of(url: str, manager: PoolManager | None = None, read_s: float = 10) -> SimpleNamespace:
    return SimpleNamespace(
        url=url,
        http=manager or PoolManager(),
        headers={"User-Agent": "us", "Authorization": "Basic x"},
        timeout=Timeout(connect=10, read=read_s),
        params={"final": 1, "max_execution_time": 30},
        database="ours",
    )


HELLO = ANSWERS["of a length"][0]


def test_requests_share_a_connection_and_one_that_is_over_is_replaced():
    with closing(Scripted((HELLO, ANSWERS["the last one"][0]), (HELLO,))) as server:
        line = Line(client_of(server.url))
        assert [line.post("/?a=b", f"ask {n}".encode()).body for n in range(3)] == [b"hello", b"ok", b"hello"]
        assert server.connections == 2
    head, _, body = server.asked[0].partition(b"\r\n\r\n")
    assert body == b"ask 0"
    assert head.split(b"\r\n") == [
        b"POST /?a=b HTTP/1.1",
        f"Host: {server.url.removeprefix('http://')}".encode(),
        b"User-Agent: us",
        b"Authorization: Basic x",
        b"Content-Length: 5",
    ]


def test_a_connection_that_the_server_closed_while_idle_is_replaced():
    with closing(Scripted((HELLO,), (HELLO,))) as server:
        line = Line(client_of(server.url))
        line.post("/", b"1")
        assert server.hung_up.acquire(timeout=10)
        assert line.post("/", b"2").body == b"hello"


def test_after_a_failure_another_connection_is_made():
    with closing(Scripted((HELLO[:-1],), (HELLO,))) as server:
        line = Line(client_of(server.url))
        with pytest.raises(HTTPError):
            line.post("/", b"1")
        assert line.post("/", b"2").body == b"hello"


def test_a_server_that_says_nothing_is_given_up():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimeoutError, match="timed out"):
            Line(client_of(url, read_s=0.05)).post("/", b"1")


def test_what_a_server_says_before_it_has_read_all_is_heard():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
                connection.shutdown(socket.SHUT_RDWR)

        refusing = threading.Thread(target=refuse)
        refusing.start()
        line = Line(client_of(f"http://127.0.0.1:{server.getsockname()[1]}"))
        answer = line.post("/", bytes(50_000_000))
        refusing.join()
    assert (answer.status, answer.body) == (413, b"no")


def test_a_proxy_is_asked_as_proxies_are():
    with closing(Scripted((HELLO,))) as proxy:
        line = Line(client_of("http://clickhouse.example.com:8123", ProxyManager(proxy.url)))
        answer = line.post("/?a=b", b"1")
    assert (answer.status, answer.body, answer.headers[b"content-length"]) == (200, b"hello", b"5")
    assert proxy.asked[0].startswith(b"POST http://clickhouse.example.com:8123/?a=b HTTP/1.1\r\n")


ROWS = b"\x01\x02\x01n\x05UInt8\x07\x08"
"""Two rows of a column ``n``, as ClickHouse writes them."""


def of_body(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_a_query_is_asked_again_where_its_connection_ended():
    answer = of_body(ROWS)
    with closing(Scripted((answer[:-1],), (answer,))) as server:
        found = Wire(client_of(server.url)).query("SELECT %(n)s AS n", {"n": 7})
    assert (found.column_names, [*found.result_set]) == (("n",), [(7,), (8,)])
    assert server.connections == 2
    head, _, body = server.asked[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /?final=1&max_execution_time=30&database=ours HTTP/1.1\r\n")
    assert body == b"SELECT 7 AS n\n FORMAT Native"


def test_a_query_whose_connections_all_end_is_given_up():
    with closing(Scripted(*[(b"",)] * 3)) as server, pytest.raises(dbapi.OperationalError, match="ended"):
        Wire(client_of(server.url)).query("SELECT 1", None)
    assert server.connections == 3


def test_what_writes_is_never_sent_again_by_itself():
    with closing(Scripted((b"",), (HELLO,))) as server, pytest.raises(dbapi.OperationalError, match="ended"):
        Wire(client_of(server.url)).post(b"INSERT")
    assert [each.splitlines()[0] for each in server.asked] == [
        b"POST /?max_execution_time=30&database=ours HTTP/1.1"
    ]


@pytest.mark.parametrize("head", [OK, b"HTTP/1.1 404 Not Found\r\n"])
def test_what_the_server_says_of_a_query_is_told_with_its_number(head: bytes):
    said = of_body(b"Code: 60. no such table", head + b"X-ClickHouse-Exception-Code: 60\r\n")
    with closing(Scripted((said,))) as server, pytest.raises(dbapi.DatabaseError, match="no such") as told:
        Wire(client_of(server.url)).query("SELECT 1 FROM nothing", None)
    assert told.value.code == 60
