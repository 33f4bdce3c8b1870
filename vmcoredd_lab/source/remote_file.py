"""Everything but HTTP that fsspec opens (s3, gs, sftp, memory, ...): through its file objects, without its caches."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import fsspec

from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source.transport import ChangedError, Identity, InterruptedReadError, Transport, differs
from vmcoredd_lab.source.urls import protocol, scrub, shown
from vmcoredd_lab.text import escape

__all__ = ["FileTransport"]

T = TypeVar("T")

# What file systems call the version of an object. Access times are not among them: reading changes those.
MARKS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime",
         "modified", "created")  # fmt: skip
CHEAP = ("memory", "local", "sftp", "ssh")  # file systems where asking for the state of a file costs next to nothing
UNCHECKED = 1.0  # seconds for which an object of the others is taken to be the same
CREDENTIALS = {
    "s3": "for a public bucket set FSSPEC_S3='{\"anon\": true}', else AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS",
    "sftp": "name the user: sftp://USER@HOST/PATH; keys come from ssh-agent and ~/.ssh",
}
CREDENTIALS |= {"s3a": CREDENTIALS["s3"], "gcs": CREDENTIALS["gs"], "ssh": CREDENTIALS["sftp"]}
NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError",
                  "AuthenticationException", "BadHostKeyException", "PasswordRequiredException")  # fmt: skip


class FileTransport(Transport):
    """A file object of fsspec. Its file systems try again themselves, so few tries are made here."""

    tries = 2

    def __init__(self, url: str, **storage_options: Any) -> None:
        self.name = shown(url)
        self._url = url
        self._protocol = protocol(url)
        self._options = storage_options
        self._file: Any = None
        self._lost = False  # the connection; the file system that had it is not used again
        self._checked = 0.0
        logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it logs comes as an error too

    def open(self) -> None:
        """Open the file; remember its size and version."""
        self.identity = self._guarded(self._connect)

    def fetch(self, start: int, stop: int, into: bytearray) -> None:
        """Append bytes [start, stop) to ``into``."""
        if self._file is None and (changed := differs(self.identity, self._guarded(self._connect))):
            raise changed
        into += self._guarded(self._read, start, stop - start)

    def check(self) -> bool:
        """Compare size and version with those on opening, where requests do not do so themselves (If-Match on S3)."""
        if "IfMatch" in getattr(self._file, "read_kw", {}):
            return False
        if self._protocol not in CHEAP and time.monotonic() - self._checked < UNCHECKED:
            return False
        if changed := differs(self.identity, self._guarded(self._state)):
            raise changed
        return True

    def close(self) -> None:
        """Close the file object."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(Exception):  # of a connection that is lost nothing can be released
                file.close()

    # -- what may fail ------------------------------------------------------------------------------------------------

    def _connect(self) -> Identity:
        self._fs, self._path = fsspec.core.url_to_fs(self._url, **self._options, skip_instance_cache=self._lost)
        self._fs.invalidate_cache()  # listings of the file system that are older
        try:
            file = self._fs.open(self._path, "rb", cache_type="none")
        except FileNotFoundError:
            if self._fs.isdir(self._path):  # some file systems tell the two apart, some do not
                raise IsADirectoryError from None
            raise
        self._file, self._lost = file, False
        return self._state(getattr(file, "details", None))

    def _state(self, details: dict[str, Any] | None = None) -> Identity:
        if details is None:
            self._fs.invalidate_cache()
            details = self._fs.info(self._path)
        self._checked = time.monotonic()
        if details.get("type") == "directory":
            raise IsADirectoryError
        if details.get("size") is None:
            raise self.refused("the size of the object is not known", hint="copy it to a local file first")
        marks = {name: escape(str(details[name])) for name in MARKS if details.get(name) is not None}
        return Identity(int(details["size"]), marks)

    def _read(self, start: int, size: int) -> bytes:
        if hasattr(self._file, "readv"):  # paramiko: many requests on the way at once, where read() waits for each
            with _quiet_paramiko():
                return b"".join(self._file.readv([(start, size)]))[:size]
        self._file.seek(start)
        data: bytes = self._file.read(size)
        return data[:size]

    def _guarded(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function; what fsspec and the libraries behind it raise becomes ours."""
        try:
            return function(*args)
        except OpenError:
            raise
        except FileNotFoundError:
            gone = hasattr(self, "identity")
            raise self.refused("the object is gone" if gone else "no such object", hint="check the address") from None
        except PermissionError:
            raise self.refused("access is denied", hint=CREDENTIALS.get(self._protocol)) from None
        except IsADirectoryError:
            raise self.refused(
                "this is a directory", expected="a file", hint=f"try {self.name.rstrip('/')}/vmcore"
            ) from None
        except (ValueError, TypeError, NotImplementedError) as error:
            raise self.refused(f"cannot be opened: {self._reason(error)}", hint="check the address") from None
        except Exception as error:  # each library has errors of its own
            self._lost = True
            self.close()
            if type(error).__name__ in NO_CREDENTIALS:
                raise self.refused(f"no access: {self._reason(error)}", hint=CREDENTIALS.get(self._protocol)) from None
            if type(error).__name__ == "FileExpired":  # s3fs: the server answered If-Match with 412
                raise ChangedError(self._marks(), "another version") from None
            raise InterruptedReadError(self._reason(error)) from None

    def _marks(self) -> str:
        return (
            ", ".join(f"{name} {value}" for name, value in self.identity.marks.items()) or "the version that was opened"
        )

    def _reason(self, error: BaseException) -> str:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        return escape(scrub(text, self._url)).rstrip(".")[:200]


@contextlib.contextmanager
def _quiet_paramiko() -> Iterator[None]:
    """Keep the thread with which paramiko sends requests from printing a traceback where the connection is lost."""
    usual = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        if not _sends_requests(failed.thread):
            usual(failed)

    threading.excepthook = hook
    try:
        yield
    finally:
        for thread in filter(_sends_requests, threading.enumerate()):
            thread.join(1)
        threading.excepthook = usual


def _sends_requests(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.name.endswith("(_prefetch_thread)")
