"""Stand between a host's sshd and its dockerd, and bend what the engine answers: a stand-in for a host that lies."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path

Lie = Callable[[bytes], bytes | Iterator[bytes]]
"""Give another body for what the engine said; pieces are sent as chunks until the client has enough."""


class Liar(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answer for the engine behind `target`: as it does, but for paths that `lies` knows."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, target: Path) -> None:
        super().__init__(str(path), _Handler)
        path.chmod(0o666)
        self.path = path
        self.target = target
        self.lies: dict[str, Lie] = {}
        self.changes: list[str] = []
        self.sent_bytes = 0

    def lie_about(self, path: str) -> Lie | None:
        """Find the lie for a path, without its version and query."""
        bare = re.sub(r"^/v[0-9.]+", "", path.partition("?")[0])
        return next((lie for pattern, lie in self.lies.items() if re.fullmatch(pattern, bare)), None)


class _Engine(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Liar

    def log_message(self, *_: object) -> None:
        """Say nothing: a Unix socket has no address to name."""

    def do_GET(self) -> None:
        """Ask the engine, and tell what it said or a lie."""
        status, body, kind = self._ask()
        lie = self.server.lie_about(self.path)
        told = body if lie is None or status >= 400 else lie(body)
        with suppress(OSError):
            if isinstance(told, bytes):
                self._tell(status, told, kind)
            else:
                self._pour(told)

    def do_POST(self) -> None:
        """Note a change, and pass it on."""
        self.server.changes.append(f"{self.command} {self.path}")
        status, body, kind = self._ask()
        with suppress(OSError):
            self._tell(status, body, kind)

    do_DELETE = do_POST  # noqa: N815  # the name that the server looks for

    def _ask(self) -> tuple[int, bytes, str]:
        length = int(self.headers.get("Content-Length") or 0)
        engine = _Engine(self.server.target)
        try:
            headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            engine.request(self.command, self.path, self.rfile.read(length) if length else None, headers)
            answer = engine.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type", "application/json")
        finally:
            engine.close()

    def _tell(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.sent_bytes += len(body)

    def _pour(self, pieces: Iterator[bytes]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.server.sent_bytes += len(piece)
        self.wfile.write(b"0\r\n\r\n")


@contextmanager
def lying(path: Path, target: Path) -> Iterator[Liar]:
    """Serve a liar at `path` for the engine at `target` while the block runs."""
    liar = Liar(path, target)
    thread = threading.Thread(target=liar.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield liar
    finally:
        liar.shutdown()
        thread.join()
        liar.server_close()
        path.unlink()
