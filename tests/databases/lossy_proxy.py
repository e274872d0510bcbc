"""A way to a server on which an answer can be lost: what was asked has been done, and nobody is told."""

from __future__ import annotations

import contextlib
import socket
import threading


class LossyProxy:
    """Carries bytes between clients and a server, until it is told to break a connection."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._marker, self._left = b"", 0
        self.lost = 0
        """How many answers were lost so far."""
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, marker: bytes, times: int) -> None:
        """Lose the answers to the next requests in which these bytes occur, with their connections."""
        self._marker, self._left = marker, times

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                loses = threading.Event()
                for pump, ends in ((self._ask, (client, server)), (self._answer, (server, client))):
                    threading.Thread(target=pump, args=(*ends, loses), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, loses: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 20):
                with self._lock:
                    if self._left and self._marker in data:
                        self._left -= 1
                        loses.set()
                server.sendall(data)
        _end(server)

    def _answer(self, server: socket.socket, client: socket.socket, loses: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                if loses.is_set():
                    self.lost += 1
                    _end(server)
                    break
                client.sendall(data)
        _end(client)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
