"""A server on loopback that passes on what it is sent, as slowly as it is told, or lets nobody in."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

CHUNK = 1 << 16


class Proxy(ThreadingTCPServer):
    """Stands before another server.

    Attributes:
        away: whether connections are closed at once.
        delay: seconds that every part of a message takes.
        refused: how many connections were closed so.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = (host, port)
        self.away, self.delay, self.refused = False, 0.0, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Passing(BaseRequestHandler):
    """One connection."""

    server: Proxy

    def handle(self) -> None:
        if self.server.away:
            self.server.refused += 1
            return
        with socket.create_connection(self.server.behind) as behind:
            back = Thread(target=self._pass, args=(behind, self.request))
            back.start()
            self._pass(self.request, behind)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while not self.server.away and (part := source.recv(CHUNK)):
                time.sleep(self.server.delay)
                target.sendall(part)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_before(host: str, port: int) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    with Proxy(host, port) as proxy:
        serving = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        serving.start()
        yield proxy
        proxy.shutdown()
