"""Remote vmcores: any URL that fsspec reads, through a cache of blocks that fetches no more than it must.

fsspec and what it needs for a protocol are imported when a URL is opened, never before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vmcoredd_lab.errors import OpenError, VmcoreddLabError
from vmcoredd_lab.source.base import ByteSource
from vmcoredd_lab.source.blocks import BLOCK, BlockCache, ReadAhead
from vmcoredd_lab.source.transport import ChangedError, InterruptedReadError, Transport
from vmcoredd_lab.source.urls import links, protocol, scrub, shown
from vmcoredd_lab.text import escape, human_size, plural

__all__ = ["RemoteSource", "Traffic", "open_transport"]

CACHE = 128 << 20
LARGEST_REQUEST = 8 << 20
LARGEST_READ = 4 << 30  # at once, into memory
TRIES_TO_OPEN = 3  # a name that is not known or a port where nobody listens is seldom mended by waiting
BACKOFF = 0.25  # seconds before the second try, doubled before each further one
PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp", "sftp": "paramiko",
    "ssh": "paramiko", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs", "smb": "smbprotocol", "hdfs": "pyarrow",
    "github": "requests", "webhdfs": "requests", "oss": "ossfs", "oci": "ocifs", "webdav": "webdav4", "dav": "webdav4",
    "box": "boxfs", "dropbox": "dropboxdrivefs", "gdrive": "gdrive_fsspec", "hf": "huggingface_hub", "root": "fsspec-xrootd",
}  # fmt: skip


@dataclass(slots=True)
class Traffic:
    """What was read over the network: requests (failed ones too), bytes of answers, seconds waited; reads that needed none."""

    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    hits: int = 0

    def __str__(self) -> str:
        return f"read {human_size(self.bytes)} in {plural(self.requests, 'request')}, {self.seconds:.1f} s"


class RemoteSource(ByteSource):
    """A remote object as a source of bytes.

    Attributes
    ----------
    name: the URL without user, password and query
    size: bytes, as the server said on opening
    traffic: a :class:`Traffic`: what was read over the network so far
    failure: the error that ended reading, or None; what was decoded since may miss bytes that are in the object
    """

    def __init__(
        self,
        url: str | Transport,
        *,
        cache_size: int = CACHE,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        **storage_options: Any,
    ) -> None:
        """Open ``url``; ``storage_options`` go to fsspec's file system (``anon``, ``key``, ``endpoint_url``, ``headers``, ...).

        Raises
        ------
        OpenError: no such object, no access, the package for the protocol is not installed, the server cannot be reached or
            does not answer ranges.
        """
        self.traffic = Traffic()
        self._failure: VmcoreddLabError | None = None
        self._sleep, self._clock = sleep, clock
        self._lock = threading.RLock()
        self._cache = BlockCache(cache_size)
        self._ahead = ReadAhead()
        self._transport = url if isinstance(url, Transport) else open_transport(url, **storage_options)
        self.name = self._transport.name
        self._try(self._open, lambda: 0, 0, None)
        self.size = self._transport.identity.size
        head = self._transport.head
        self._whole = head if len(head) == self.size else None
        if self._whole is None and head:
            self._cache.put(0, head[: len(head) // BLOCK * BLOCK])

    @property
    def failure(self) -> VmcoreddLabError | None:
        """The error that ended reading, or None."""
        return self._failure

    def _open(self) -> None:
        self._sent(self._transport.open, lambda: len(self._transport.head))

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only where the object ends.

        Raises
        ------
        OpenError: the connection was lost for good, or the object is no longer the one that was opened.
        """
        return bytes(self.view(offset, size))

    def view(self, offset: int, size: int) -> memoryview:
        """Return the same as :meth:`read`; within one block without a copy."""
        size = min(size, self.size - offset)
        if size <= 0:
            return memoryview(b"")
        if self._whole is not None:
            self.traffic.hits += 1
            return memoryview(self._whole)[offset : offset + size]
        if size > LARGEST_READ:
            raise VmcoreddLabError(
                "too much of a remote file for one read", path=self.name, offset=offset,
                expected=f"at most {LARGEST_READ:,} bytes", got=f"{size:,} bytes", hint="copy it to a local file first",
            )  # fmt: skip
        with self._lock:
            return self._view(offset, size)

    def close(self) -> None:
        """Release the connection."""
        self._transport.close()

    # -- blocks -------------------------------------------------------------------------------------------------------

    def _view(self, offset: int, size: int) -> memoryview:
        first, stop = offset // BLOCK, -(-(offset + size) // BLOCK)
        pieces: dict[int, bytes | memoryview] = {}
        missing = list(self._cache.missing(first, stop))
        self.traffic.hits += not missing
        if stop - first == 1 and not missing:
            block = self._cache.get(first)
            assert block is not None
            return memoryview(block)[offset - first * BLOCK :][:size]
        for number in range(first, stop):  # before fetching, which may push them out
            if (block := self._cache.get(number)) is not None:
                pieces[number] = block
        for start, end in missing:
            data = self._request(start, end)
            for number in range(start, end):
                pieces[number] = data[(number - start) * BLOCK : (number - start + 1) * BLOCK]
        whole = b"".join(pieces[number] for number in range(first, stop)) if stop - first > 1 else pieces[first]
        return memoryview(whole)[offset - first * BLOCK :][:size]

    def _request(self, first: int, stop: int) -> memoryview:
        """Return blocks [first, stop), and keep them with what is read ahead."""
        ahead = self._ahead.blocks(first, stop)
        end = stop
        while end < stop + ahead and end not in self._cache and end * BLOCK < self.size:
            end += 1
        data = bytearray()
        for at in range(first * BLOCK, min(end * BLOCK, self.size), LARGEST_REQUEST):
            self._fetch(at, min(at + LARGEST_REQUEST, end * BLOCK, self.size), data)
        if len(data) <= self._cache.limit // 2:
            self._cache.put(first, data)
        return memoryview(data)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _fetch(self, start: int, stop: int, into: bytearray) -> None:
        """Append bytes [start, stop) to ``into``; an answer that stops early is taken, and the rest asked for."""
        before = len(into)
        at = start

        def one_answer() -> None:
            self._transport.fetch(at, stop, into)

        def fetch() -> None:
            nonlocal at
            while (at := start + len(into) - before) < stop:
                enough = len(into) + min(BLOCK, stop - at)
                self._sent(one_answer, lambda: len(into))
                if len(into) < enough:
                    raise InterruptedReadError("the answers are shorter than what was asked for")

        self._try(fetch, lambda: len(into) - before, start, f"{stop - start:,} bytes")
        self._try(self._check, lambda: 0, start, "the state of the object")

    def _check(self) -> None:
        began = self._clock()
        if self._transport.check():
            self.traffic.requests += 1
            self.traffic.seconds += self._clock() - began

    def _sent(self, request: Callable[[], object], come: Callable[[], int]) -> None:
        """Make one request, and count it with the bytes that come."""
        began, had = self._clock(), come()
        self.traffic.requests += 1
        try:
            request()
        finally:
            self.traffic.seconds += self._clock() - began
            self.traffic.bytes += come() - had

    def _try(self, action: Callable[[], object], come: Callable[[], int], start: int, expected: str | None) -> None:
        """Do something until it succeeds; each MiB that came meanwhile allows a further failure."""
        failures, tries = 0, self._transport.tries if expected else min(self._transport.tries, TRIES_TO_OPEN)
        while True:
            had = come()
            try:
                action()
            except InterruptedReadError as error:
                reason, wait = error.reason, error.wait
            except ChangedError as error:
                raise self._failed(OpenError(
                    "the object changed while it was read", path=self.name, offset=start, expected=error.expected,
                    got=error.got, hint="wait until nobody writes it, then open it again",
                )) from None  # fmt: skip
            except OpenError as error:
                error.offset = start or None
                raise self._failed(error) from None
            else:
                return
            failures += 1
            got = come()
            if failures - (got >> 20) >= tries:
                raise self._failed(OpenError(
                    f"cannot be read: {reason} ({plural(failures, 'try', 'tries')})", path=self.name,
                    offset=start + got if start or got else None,
                    expected=expected, got=f"{got:,} bytes" if expected else None,
                    hint="see whether the server can be reached, then try again",
                )) from None  # fmt: skip
            if got == had or wait:
                self._sleep(max(BACKOFF * 2 ** (failures - 1), wait))

    def _failed(self, error: OpenError) -> OpenError:
        self._failure = self._failure or error
        return error


def open_transport(url: str, **storage_options: Any) -> Transport:
    """Return what reads ``url``.

    Raises
    ------
    OpenError: fsspec, or the package for the protocol, is not installed; or fsspec knows no such protocol.
    """
    name = protocol(url)
    try:
        import fsspec
    except ImportError:
        raise OpenError(
            "URLs are read through fsspec, which is not installed",
            path=shown(url),
            hint="install it: pip install 'vmcoredd-lab[remote]'",
        ) from None
    try:
        if name in ("http", "https"):
            from vmcoredd_lab.source.remote_http import HttpTransport

            return HttpTransport(url, **storage_options)
        from vmcoredd_lab.source.remote_file import FileTransport

        for link in links(url):
            fsspec.get_filesystem_class(protocol(link))
        return FileTransport(url, **storage_options)
    except ImportError as error:
        package = PACKAGES.get(name)
        raise OpenError(
            f"{name} URLs need a package that is not installed", path=shown(url),
            expected=package, got=None if package else escape(scrub(str(error), url)),
            hint=f"install it: pip install {package}" if package else None,
        ) from None  # fmt: skip
    except ValueError:
        raise OpenError(
            f"no such kind of URL: {escape(name)}", path=shown(url), expected="s3://, gs://, https://, sftp:// or another that "
            "fsspec reads", hint="check the address",
        ) from None  # fmt: skip
