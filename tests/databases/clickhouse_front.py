"""A ClickHouse server for tests: the engine of the package chdb behind ClickHouse's own HTTP interface.

Run as a process: ``python clickhouse_front.py PORT FOLDER``. What the engine cannot do is done here: it
takes one statement at a time, has no users, and reads the rows of an insert from a file.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb

OF_TRANSPORT = {
    "database", "query", "query_id", "session_id", "compress", "decompress", "wait_end_of_query",
    "buffer_size",
    "client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "enable_http_compression", "default_format", "readonly", "cancel_http_readonly_queries_on_client_close",
    "max_execution_time", "output_format_native_use_flattened_dynamic_and_json_serialization",
}  # fmt: skip
READS = re.compile(r"\s*(?:--[^\n]*\n|\s)*\(*\s*(SELECT|WITH|SHOW|DESCRIBE|EXISTS|EXPLAIN)\b", re.IGNORECASE)
INSERT = re.compile(r"(?is)\s*INSERT\s+INTO\s+.*\bFORMAT\s+(\w+)\s*\Z")
DROP = re.compile(r"\s*DROP\s+DATABASE\b", re.IGNORECASE)
FORMAT = re.compile(r"(?is)\bFORMAT\s+(\w+)\s*;?\s*\Z")
CODE = re.compile(r"Code: (\d+)")


class Engine:
    """One engine, and who may use it."""

    def __init__(self, folder: str) -> None:
        self.connection = chdb.connect(f"{folder}?log-level=none")
        # What is lost when the machine fails is of no use to anybody.
        self.connection.query("SET fsync_metadata = 0")
        self.turn = threading.Lock()
        self.settings: dict[str, str] = {}
        self.database = ""
        self.sockets: dict[socket.socket, str] = {}

    def run(self, statement: str, data: bytes, parameters: dict[str, str]) -> tuple[bytes, str]:
        """Run a statement; return what it gives, and in which format."""
        settings = {key: value for key, value in parameters.items() if key not in OF_TRANSPORT}
        with self.turn:
            self._use(parameters.get("database") or "default")
            self._set(settings)
            if not READS.match(statement) and parameters.get("readonly") not in (None, "0"):
                raise RuntimeError(
                    "Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY)"
                )
            if INSERT.match(statement):
                return self._insert(statement, data), "Native"
            found = FORMAT.search(statement)
            fmt = found[1] if found else parameters.get("default_format", "TabSeparated")
            text = FORMAT.sub("", statement) if found else statement
            if DROP.match(statement):
                self.database = ""
            return self.connection.query(text, fmt).bytes(), fmt

    def _use(self, database: str) -> None:
        if database != self.database:
            quoted = database.replace("`", "``")
            self.connection.query(f"USE `{quoted}`")
            self.database = database

    def _set(self, settings: dict[str, str]) -> None:
        changes = [f"{name} = DEFAULT" for name in self.settings.keys() - settings.keys()]
        for name, value in settings.items():
            if self.settings.get(name) != value:
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                changes.append(f"{name} = '{quoted}'")
        if changes:
            self.connection.query(f"SET {', '.join(changes)}")
        self.settings = settings

    def _insert(self, statement: str, data: bytes) -> bytes:
        fmt = INSERT.match(statement)[1]
        head, settings, values = FORMAT.sub("", statement).partition(" SETTINGS ")
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(data)
            file.flush()
            self.connection.query(
                f"{head} FROM INFILE '{file.name}' COMPRESSION 'none'{settings}{values} FORMAT {fmt}"
            )
        return b""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    engine: Engine
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.engine.sockets[self.connection] = ""

    def finish(self) -> None:
        self.engine.sockets.pop(self.connection, None)
        super().finish()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parameters = dict(parse_qsl(url.query, keep_blank_values=True))
        if url.path == "/ping":
            self._answer(200, b"Ok.\n")
        elif url.path == "/kill":
            self._answer(200, str(self._kill(parameters["database"])).encode())
        else:
            self._run({"readonly": "2", **parameters}, b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = self._chunks()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._run(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)), data)

    def _run(self, parameters: dict[str, str], data: bytes) -> None:
        self.engine.sockets[self.connection] = parameters.get("database", "")
        statement = parameters.get("query", "")
        if not INSERT.match(statement):
            head, found, rest = (
                data.partition(b"FORMAT Native\n") if b"INSERT" in data[:20] else (data, b"", b"")
            )
            statement, data = f"{statement}{(head + found).decode()}".rstrip(), rest
        try:
            body, fmt = self.engine.run(statement, data, parameters)
        except Exception as exc:  # noqa: BLE001 # whatever the engine says goes to the client
            text = str(exc)
            text = text[max(text.find("Code: "), 0) :]
            code = CODE.search(text)
            self._answer(500, text.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1000"})
            return
        self._answer(200, body, {"X-ClickHouse-Format": fmt, "X-ClickHouse-Summary": "{}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "X-ClickHouse-Timezone": os.environ.get("TZ") or "UTC",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self) -> bytes:
        parts = []
        while True:
            size = int(self.rfile.readline().strip() or b"0", 16)
            parts.append(self.rfile.read(size))
            self.rfile.readline()
            if not size:
                return b"".join(parts)

    def _kill(self, database: str) -> int:
        killed = 0
        for connected, name in list(self.engine.sockets.items()):
            if name == database and connected is not self.connection:
                killed += 1
                with contextlib.suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)
        return killed

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = str(folder)
    Handler.engine = Engine(str(folder / "data"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
