"""A web server with ranges that can be told to fail, and contents with holes that take no memory."""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 1 << 16


class Sparse:
    """`size` bytes: what is given, by offset, and zeros between."""

    def __init__(self, size: int, pieces: Mapping[int, bytes]) -> None:
        self.size = size
        self._pieces = sorted(pieces.items())

    def read(self, offset: int, size: int) -> bytes:
        size = max(0, min(size, self.size - offset))
        found = bytearray(size)
        for at, piece in self._pieces:
            first, stop = max(at, offset), min(at + len(piece), offset + size)
            if first < stop:
                found[first - offset : stop - offset] = piece[first - at : stop - at]
        return bytes(found)

    def over(self, offset: int, piece: bytes) -> Sparse:
        """The same with other bytes at an offset."""
        return Sparse(self.size, dict([*self._pieces, (offset, piece)]))


def plain(data: bytes) -> Sparse:
    return Sparse(len(data), {0: data})


@dataclass(frozen=True)
class Fault:
    """What one answer does instead of what it should.

    `status` and `headers` replace those of the answer. `lost`: the connection ends after so many bytes of the body.
    `most`: no more bytes than this, and the headers say so. `silent`: no answer until the server ends. `whole`: the Range
    header is ignored. `endless`: the size of the whole is not said. `shifted`: another range than was asked for.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: int | None = None
    most: int | None = None
    silent: bool = False
    whole: bool = False
    endless: bool = False
    shifted: int = 0


NO_FAULT = Fault()


@dataclass
class Served:
    """An object: its content, and what the server says of its version. `always` is a fault of every answer."""

    content: Sparse
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"first"'})
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault = NO_FAULT


@dataclass
class Asked:
    """A request as it came: path, Range header as (first, last), the headers; and bytes of the body that went out."""

    path: str
    range: tuple[int, int] | None
    headers: dict[str, str]
    client: int = 0  # the port of the connection
    sent: int = 0


class Server:
    """Where the objects are, and what was asked for."""

    def __init__(self, port: int, stop: Callable[[], None]) -> None:
        self.port = port
        self.stop = stop
        self.objects: dict[str, Served] = {}
        self.asked: list[Asked] = []
        self.ended = threading.Event()

    def url(self, path: str = "/crash/vmcore", user: str = "") -> str:
        return f"http://{user}{'@' if user else ''}127.0.0.1:{self.port}{path}"

    def put(self, content: Sparse | bytes, path: str = "/crash/vmcore", **served: Any) -> Served:
        made = self.objects[path] = Served(plain(content) if isinstance(content, bytes) else content, **served)
        return made

    @property
    def sent(self) -> int:
        return sum(one.sent for one in self.asked)

    @property
    def ranges(self) -> list[tuple[int, int] | None]:
        return [one.range for one in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        place: Server = self.server.place
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        asked = Asked(self.path, (int(match[1]), int(match[2])) if match else None, dict(self.headers),
                      self.client_address[1])  # fmt: skip
        place.asked.append(asked)
        served = place.objects.get(self.path.split("?")[0])
        if served is None:
            self._answer(asked, 404, {}, [b"not here"], 8)
            return
        fault = served.faults.popleft() if served.faults else served.always
        if fault.silent:
            place.ended.wait()
            self.close_connection = True
            return
        self._serve(asked, served, fault)

    def do_HEAD(self) -> None:
        self._answer(Asked(self.path, None, {}), 405, {}, [], 0)

    def _serve(self, asked: Asked, served: Served, fault: Fault) -> None:
        size = served.content.size
        if fault.status >= 300:
            text = b"an error page"
            self._answer(asked, fault.status, {**fault.headers}, [text], len(text), fault)
            return
        if asked.range is None or fault.whole:
            self._answer(asked, 200, served.headers | fault.headers, _pieces(served.content, 0, size),
                         None if fault.endless else size, fault)  # fmt: skip
            return
        first, last = asked.range[0] + fault.shifted, min(asked.range[1] + fault.shifted, size - 1)
        if first > last:
            self._answer(asked, 416, {"Content-Range": f"bytes */{size}"}, [], 0, fault)
            return
        if fault.most is not None:
            last = min(last, first + fault.most - 1)
        headers = {"Content-Range": f"bytes {first}-{last}/{size}", **served.headers, **fault.headers}
        self._answer(asked, 206, headers, _pieces(served.content, first, last + 1), last + 1 - first, fault)

    def _answer(self, asked: Asked, status: int, headers: Mapping[str, str], pieces: Any, length: int | None,
                fault: Fault = NO_FAULT) -> None:  # fmt: skip
        self.send_response(fault.status or status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        left = length if fault.lost is None else fault.lost
        try:
            for piece in pieces:
                piece = piece[: left if left is not None else None]
                asked.sent += len(piece)  # before it goes out: who gets it may look at once
                self.wfile.write(piece)
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        break
        except OSError:  # who asked went away
            self.close_connection = True
        if fault.lost is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return


def _pieces(content: Sparse, first: int, stop: int) -> Iterator[bytes]:
    for at in range(first, stop, PIECE):
        yield content.read(at, min(PIECE, stop - at))


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    place: Server
    connections: set[socket.socket]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.__dict__.setdefault("connections", set()).add(request)
        super().process_request(request, client_address)

    def end(self) -> None:
        """Stop listening, and close the connections that are open."""
        self.shutdown()
        self.server_close()
        for connection in self.__dict__.get("connections", ()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # a client that closed its connection; what it meant is the test's to say


@contextmanager
def object_server() -> Iterator[Server]:
    """Run a server on a free port of this machine."""
    with _Quiet(("127.0.0.1", 0), Handler) as http:
        http.place = place = Server(http.server_address[1], http.end)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield place
        finally:
            place.ended.set()
            http.end()
            thread.join()
