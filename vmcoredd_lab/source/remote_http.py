"""HTTP and HTTPS through fsspec's session: every answer's status, range, size and version are looked at.

fsspec's own file object takes a whole answer where a server ignores the Range header; of a vmcore that is gigabytes.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import Any

import aiohttp
import fsspec
from fsspec.asyn import sync
from fsspec.implementations.http import HTTPFileSystem

from vmcoredd_lab.source.transport import ChangedError, Identity, InterruptedReadError, Transport, differs
from vmcoredd_lab.source.urls import scrub, shown
from vmcoredd_lab.text import escape

__all__ = ["HttpTransport"]

FIRST = 64 << 10  # asked for on opening: nearly always the headers of the vmcore
SMALL = 32 << 20  # a server without ranges may send this much, once
PASSING = (408, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 30.0  # of what Retry-After asks for
GONE = (404, 410)
_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)", re.IGNORECASE)
_DOWNLOAD = "download it first, for example with curl -O, or put it on a server that answers ranges"
_REFUSED = {
    401: "the server asks for a user name and password: https://USER:PASSWORD@HOST/... or an entry in ~/.netrc",
    403: "the address may have expired, or it needs credentials: ask for a new one",
    407: "the proxy asks for credentials: see HTTPS_PROXY",
}


class HttpTransport(Transport):
    """GET with a Range header, and nothing else: HEAD is refused by many presigned addresses."""

    def __init__(self, url: str, *, timeout: float = 30.0, **storage_options: Any) -> None:
        self.name = shown(url)
        self._secret = url
        configured = fsspec.config.conf.get(url.partition(":")[0].lower(), {}).get("client_kwargs", {})
        client = {"trust_env": True, **configured, **storage_options.pop("client_kwargs", {})}
        # an address with % in it is quoted already: quoting it anew would spoil its signature
        self._fs = HTTPFileSystem(encoded="%" in url, client_kwargs=client, skip_instance_cache=True, **storage_options)
        self._url = self._fs.encode_url(url)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(timeout, 30.0), sock_read=timeout)

    def open(self) -> None:
        """Ask for the first bytes: the answer says how large the object is, and which version."""
        self._run(self._open)

    def fetch(self, start: int, stop: int, into: bytearray) -> None:
        """Append bytes [start, stop) to ``into``."""
        self._run(self._fetch, start, stop, into)

    def close(self) -> None:
        """Close the session."""
        if self._fs._session is not None:
            self._fs.close_session(self._fs.loop, self._fs._session)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _run(self, function: Any, *args: Any) -> None:
        """Run a coroutine in fsspec's loop; what aiohttp raises becomes ours."""
        try:
            sync(self._fs.loop, function, *args)
        except (ssl.SSLError, aiohttp.ClientSSLError) as error:
            raise self.refused(f"no secure connection: {self._reason(error)}", hint="check the certificate") from None
        except (aiohttp.InvalidURL, aiohttp.TooManyRedirects, ValueError) as error:
            raise self.refused(f"cannot be asked for: {self._reason(error)}", hint="check the address") from None
        except (aiohttp.ServerTimeoutError, TimeoutError):
            raise InterruptedReadError("the server did not answer in time") from None
        except aiohttp.ClientPayloadError:
            raise InterruptedReadError("the connection was lost in the middle of an answer") from None
        except (aiohttp.ClientError, OSError) as error:
            raise InterruptedReadError(self._reason(error)) from None

    def _reason(self, error: BaseException) -> str:
        cause = getattr(error, "os_error", None) or error
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return "the server closed the connection"
        number = getattr(cause, "errno", None) or 0
        text = os.strerror(number) if number > 0 else getattr(cause, "strerror", None)
        return escape(scrub(str(text or cause) or type(error).__name__, self._secret))[:200]

    def _get(self, session: aiohttp.ClientSession, start: int, stop: int) -> Any:
        options = dict(self._fs.kwargs)
        headers = {**options.pop("headers", {}), "Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        return session.get(self._url, **{"timeout": self._timeout, **options, "headers": headers})

    async def _open(self) -> None:
        session = await self._fs.set_session()
        async with self._get(session, 0, FIRST) as answer:
            try:
                await self._opened(answer)
            finally:
                _drop_rest(answer)

    async def _opened(self, answer: aiohttp.ClientResponse) -> None:
        self._check_encoding(answer)
        into = bytearray()
        if answer.status == 206:
            first, _, size = self._range(answer, 0, FIRST)
            self.identity = Identity(size, _marks(answer))
            await self._take(answer, into, min(FIRST, size) - first)
        elif answer.status == 200:
            await self._whole(answer, into)
        elif answer.status == 416:
            self.identity = Identity(0)  # there is no byte 0
        else:
            raise self._status(answer, 0)
        self.head = bytes(into)

    async def _whole(self, answer: aiohttp.ClientResponse, into: bytearray) -> None:
        """Take all of a small object from a server that ignores ranges; refuse a large one before it comes."""
        length = answer.content_length
        if length is None or length <= SMALL:
            await self._take(answer, into, SMALL + 1 if length is None else length)
            if len(into) <= SMALL:
                self.identity = Identity(len(into), _marks(answer))
                return
        raise self.refused(
            "the server does not answer ranges, and the object is too large to take whole",
            expected="206 Partial Content with Content-Range", hint=_DOWNLOAD,
            got="200 OK with " + ("an unknown size" if length is None else f"all {length:,} bytes"),
        )  # fmt: skip

    async def _fetch(self, start: int, stop: int, into: bytearray) -> None:
        session = await self._fs.set_session()
        async with self._get(session, start, stop) as answer:
            try:
                await self._fetched(answer, start, stop, into)
            finally:
                _drop_rest(answer)

    async def _fetched(self, answer: aiohttp.ClientResponse, start: int, stop: int, into: bytearray) -> None:
        self._check_encoding(answer)
        if answer.status == 200:
            if changed := differs(self.identity, Identity(answer.content_length or self.identity.size, _marks(answer))):
                raise changed
            raise InterruptedReadError("the server sent the whole object where a range was asked for")
        if answer.status == 416:
            size = _RANGE.match(answer.headers.get("Content-Range", ""))
            if size and size[3].isdecimal() and int(size[3]) != self.identity.size:
                raise ChangedError(f"{self.identity.size:,} bytes", f"{int(size[3]):,} bytes")
            raise InterruptedReadError("the server says that the range is not in the object (416)")
        if answer.status != 206:
            raise self._status(answer, start)
        first, last, size_now = self._range(answer, start, stop)
        if changed := differs(self.identity, Identity(size_now, _marks(answer))):
            raise changed
        await self._take(answer, into, last + 1 - first)

    async def _take(self, answer: aiohttp.ClientResponse, into: bytearray, most: int) -> None:
        """Append the body to ``into``, no more than ``most`` bytes."""
        end = len(into) + most
        async for piece in answer.content.iter_any():
            room = end - len(into)
            into += piece[:room]
            if len(piece) > room:
                break

    # -- answers ------------------------------------------------------------------------------------------------------

    def _range(self, answer: aiohttp.ClientResponse, start: int, stop: int) -> tuple[int, int, int]:
        """Return first byte, last byte and size of the object from Content-Range, which must be of what was asked for."""
        text = answer.headers.get("Content-Range", "")
        match = _RANGE.match(text)
        if not match or match[1] is None or match[3] == "*":
            raise self.refused(
                "the server answers a range without saying which, or of how many bytes",
                expected=f"Content-Range: bytes {start}-{stop - 1}/SIZE", got=escape(text) or "none", hint=_DOWNLOAD,
            )  # fmt: skip
        first, last, size = int(match[1]), int(match[2]), int(match[3])
        if first != start or not first <= last < min(stop, size):
            raise InterruptedReadError(f"the server sent another range than bytes {start}-{stop - 1}: {escape(text)}")
        return first, last, size

    def _check_encoding(self, answer: aiohttp.ClientResponse) -> None:
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if answer.status in (200, 206) and encoding not in ("", "identity"):
            raise self.refused(
                "the server sends the object compressed on the way, where no offset can be asked for",
                expected="no Content-Encoding", got=f"Content-Encoding: {escape(encoding)}", hint=_DOWNLOAD,
            )  # fmt: skip

    def _status(self, answer: aiohttp.ClientResponse, start: int) -> Exception:
        """Return the error for a status that is neither 200, 206 nor 416."""
        text = f"{answer.status} {escape(answer.reason or '')}".strip()
        if answer.status in PASSING:
            wait = answer.headers.get("Retry-After", "")
            return InterruptedReadError(
                f"the server answered {text}", min(float(wait), LONGEST_WAIT) if wait.isdecimal() else 0.0
            )
        if answer.status in GONE:
            return self.refused(
                "no such object" if not start else "the object is gone", got=text, hint="check the address"
            )
        return self.refused("the server refuses to send it", expected="206 Partial Content", got=text,
                            hint=_REFUSED.get(answer.status))  # fmt: skip


def _drop_rest(answer: aiohttp.ClientResponse) -> None:
    """Close the connection where more of the body would come; else it serves the next request."""
    if not answer.content.at_eof():
        answer.close()


def _marks(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the version that an answer states: its ETag, or where it has none Last-Modified."""
    etag = answer.headers.get("ETag", "").strip().removeprefix("W/")
    if etag:
        return {"ETag": escape(etag)}
    modified = answer.headers.get("Last-Modified", "").strip()
    return {"Last-Modified": escape(modified)} if modified else {}
