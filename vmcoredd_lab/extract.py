"""Write device dumps to files: never outside the directory, never over an existing file unasked, never half a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import NotInFileError, OutputError, VmcoreddLabError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.source import Buffer
from vmcoredd_lab.text import safe_file_name

__all__ = ["Extracted", "extract", "write_atomically"]

Pieces = Callable[[], Iterable[bytes | memoryview]]


@dataclass(frozen=True, slots=True)
class Extracted:
    """A file that was written: its path and its size in bytes."""

    path: Path
    size: int


def write_atomically(
    path: Path,
    pieces: Iterable[bytes | memoryview],
    *,
    force: bool,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Write a file whole or not at all; return its size.

    The bytes go to a temporary file beside it, which takes the final name at the end. Without ``force`` an existing
    file, link or directory of that name is left alone.

    Raises
    ------
    OutputError: the name exists, or the file system refused.
    """
    size = 0
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                for piece in pieces:
                    out.write(piece)
                    size += len(piece)
                    progress(len(piece))
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            if force:
                os.replace(temporary, path)
            else:
                _name_without_replacing(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", path=str(path)) from None
    return size


def _name_without_replacing(temporary: str, path: Path) -> None:
    try:
        os.link(temporary, path)  # refuses an existing name in one step
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        os.rename(temporary, path)
    else:
        os.unlink(temporary)


def _exists(path: Path) -> OutputError:
    return OutputError("the file exists already", path=str(path), hint="--force replaces it")


def extract(
    dumps: Iterable[tuple[int, DeviceDump]],
    directory: Path,
    *,
    payload: bool = False,
    entities: bool = False,
    force: bool = False,
    problems: Problems,
    progress: Callable[[int], object] = lambda _: None,
) -> list[Extracted]:
    """Write each device dump to ``directory/<index>-<safe name>.bin``.

    Parameters
    ----------
    dumps: (index in the file, dump) pairs
    payload: cut the kernel's page padding where a decoder knows the driver's own length
    entities: also write ``<index>-<safe name>.entities/<number>-<name>.bin``, decoded
    force: replace existing files
    problems: where damage met on the way is recorded
    progress: called with the number of bytes just written

    Raises
    ------
    OutputError: a file exists (checked before anything is written), a link stands where a directory should be, or the
        file system refused.
    """
    jobs: list[tuple[Path, Pieces]] = []
    for index, dump in dumps:
        stem = f"{index}-{safe_file_name(dump.name)}"
        jobs.append((directory / f"{stem}.bin", _window(dump, payload, problems).chunks))
        if entities:
            jobs += _entity_jobs(dump, directory / f"{stem}.entities")
    if not force:
        for path, _ in jobs:
            if os.path.lexists(path):
                raise _exists(path)
    written = []
    for path, pieces in [*jobs]:
        if path.parent != directory and path.parent.is_symlink():
            raise OutputError(
                "a link stands in the place of a directory", path=str(path.parent), hint="remove it first"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the directory cannot be made: {error.strerror}", path=str(path.parent)) from None
        size = write_atomically(path, pieces(), force=force, progress=progress)
        written.append(Extracted(path, size))
    return written


def _window(dump: DeviceDump, payload: bool, problems: Problems) -> Buffer:
    if not payload or (dump.bare and dump.payload_size is None):
        return dump.data
    if dump.payload_size is None:
        if dump.decoder is not None:
            problems.warning(
                f"dump:{dump.name}", "the length of the payload cannot be believed; the dump is written with its padding",
                expected="a data_len that the entity headers bear out", got="another",
            )  # fmt: skip
        return dump.data
    return dump.data.window(0, dump.payload_size)


def _entity_jobs(dump: DeviceDump, directory: Path) -> list[tuple[Path, Pieces]]:
    jobs: list[tuple[Path, Pieces]] = []
    try:
        decoder = dump.decode()
    except VmcoreddLabError:
        return []
    if not (hasattr(decoder, "entities_table") and hasattr(decoder, "entity_bytes")):
        return []
    for row in decoder.entities_table().records():
        if row.get("stored_size", 1):
            number, name = row["number"], row["name"]
            jobs.append((directory / f"{number:02}-{safe_file_name(name)}.bin", _entity_pieces(decoder, number)))
    return jobs


def _entity_pieces(decoder: object, number: int) -> Pieces:
    def pieces() -> Iterable[bytes | memoryview]:
        try:
            yield decoder.entity_bytes(number)  # type: ignore[attr-defined]
        except NotInFileError:
            return

    return pieces
