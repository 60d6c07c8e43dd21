"""A server that does with a connection whatever a test says, below the level of HTTP."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[["Client"], None]


class Client:
    """One connection, as a behaviour sees it. Writing to one that hung up raises OSError."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self.socket, self.closing = connection, closing

    def request(self) -> bytes:
        """The next request, headers and body."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, body = data.partition(b"\r\n\r\n")
        length = [
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        while len(body) < sum(length):
            body += self._some()
        return head + b"\r\n\r\n" + body

    def _some(self) -> bytes:
        if not (data := self.socket.recv(1 << 16)):
            raise ConnectionResetError("the client hung up")
        return data

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def pour(self, pieces: Iterator[bytes], pause: float = 0.0) -> None:
        """Until the client hangs up or the test is over."""
        for piece in pieces:
            if self.closing.wait(pause) if pause else self.closing.is_set():
                return
            self.send(piece)


class Hostile:
    """Serves each connection with `behaviour`, in a thread each; use as a context manager."""

    def __init__(self, behaviour: Behaviour, certificate: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._behaviour, self._certificate = behaviour, certificate
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Hostile:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(15)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)  # no test waits longer for a client that says nothing
        with connection, contextlib.suppress(OSError):
            if self._certificate:
                connection = self._certificate.wrap_socket(connection, server_side=True)
            with connection:
                self._behaviour(Client(connection, self._closing))
