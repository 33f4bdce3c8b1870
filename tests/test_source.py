"""Sources of bytes: whatever they are made from, they answer alike, and offsets that no file can have are allowed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source import Buffer, ByteSource, open_source

CONTENT = bytes(range(256)) * 3


@pytest.fixture(params=["path", "str", "file object", "bytes", "bytearray", "raw file"])
def source(request: pytest.FixtureRequest, file: Callable[..., Path]) -> Iterator[ByteSource]:
    path = file(CONTENT)
    what: Any = {
        "path": lambda: path,
        "str": lambda: str(path),
        "file object": lambda: io.BytesIO(CONTENT),
        "bytes": lambda: CONTENT,
        "bytearray": lambda: bytearray(CONTENT),
        "raw file": lambda: path.open("rb", buffering=0),
    }[request.param]()
    opened = open_source(what)
    yield opened
    opened.close()


def test_size_is_the_number_of_bytes(source: ByteSource) -> None:
    assert source.size == len(CONTENT)


@pytest.mark.parametrize(("offset", "size"), [(0, 16), (250, 20), (0, 768), (767, 1), (5, 0)])
def test_reads_what_is_there(source: ByteSource, offset: int, size: int) -> None:
    assert source.read(offset, size) == CONTENT[offset : offset + size] == bytes(source.view(offset, size))


@pytest.mark.parametrize("size", [1, 4096, 1 << 31, 1 << 63, 1 << 64])
def test_a_read_over_the_end_is_short(source: ByteSource, size: int) -> None:
    assert source.read(700, size) == CONTENT[700 : 700 + size]
    assert bytes(source.view(700, size)) == CONTENT[700 : 700 + size]


@pytest.mark.parametrize("offset", [768, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_read_behind_the_end_is_empty(source: ByteSource, offset: int) -> None:
    assert source.read(offset, 16) == b"" == bytes(source.view(offset, 16))


def test_short_reads_of_a_file_object_are_joined() -> None:
    class Stuttering(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 7))

    assert open_source(Stuttering(CONTENT)).read(10, 500) == CONTENT[10:510]


def test_a_source_is_taken_as_it_is() -> None:
    source = open_source(CONTENT)
    assert open_source(source) is source


# -- what cannot be opened --------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="no such file") as error:
        open_source(tmp_path / "vmcore")
    assert error.value.path == str(tmp_path / "vmcore")


def test_a_directory_hints_at_the_vmcore_in_it(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="directory") as error:
        open_source(tmp_path)
    assert error.value.hint == f"try {tmp_path}/vmcore"


@pytest.mark.parametrize("what", [b"", io.BytesIO()])
def test_no_bytes_are_no_source(what: Any) -> None:
    with pytest.raises(OpenError, match="empty"):
        open_source(what)


def test_an_empty_file_is_no_source(file: Callable[..., Path]) -> None:
    with pytest.raises(OpenError, match="empty"):
        open_source(file(b""))


def test_a_name_that_is_too_long_is_an_error_like_any_other() -> None:
    with pytest.raises(OpenError, match="cannot be opened"):
        open_source("v" * 5000)


def test_escape_sequences_in_a_file_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(OpenError) as error:
        open_source(tmp_path / "\x1b[2Jvmcore")
    assert "\x1b" not in str(error.value)
    assert r"\x1b[2Jvmcore" in str(error.value)


def test_a_pipe_cannot_be_read_at_will() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, CONTENT)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        with pytest.raises(OpenError, match="regular file"):
            open_source(pipe)
        with pytest.raises(OpenError, match="regular file"):
            open_source(f"/dev/fd/{ours}")


# -- windows ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def window(source: ByteSource) -> Buffer:
    return Buffer(source, 100, 50)


def test_a_window_is_indexed_and_sliced_like_bytes(window: Buffer) -> None:
    plain = CONTENT[100:150]
    assert len(window) == 50
    assert (window[0], window[49], window[-1], window[-50]) == (plain[0], plain[49], plain[-1], plain[-50])
    for part in (
        slice(3, 9),
        slice(-4, None),
        slice(40, 400),
        slice(9, 3),
        slice(None, None, 7),
        slice(None, None, -1),
    ):
        assert window[part] == plain[part]
    assert bytes(window) == plain


@pytest.mark.parametrize("index", [50, -51, 1 << 63])
def test_there_is_nothing_beside_a_window(window: Buffer, index: int) -> None:
    with pytest.raises(IndexError):
        window[index]


def test_a_window_never_shows_what_is_behind_it(window: Buffer) -> None:
    assert window.read(48, 100) == CONTENT[148:150]
    assert window.read(50, 1) == b"" == window.read(1 << 63, 1)


def test_a_window_on_a_window_counts_from_the_outer_one(window: Buffer) -> None:
    inner = window.window(10, 1000)
    assert (inner.offset, len(inner), bytes(inner)) == (110, 40, CONTENT[110:150])


def test_a_window_over_the_end_of_the_file_keeps_the_size_it_should_have(source: ByteSource) -> None:
    cut = Buffer(source, 760, 1 << 40)
    assert (len(cut), cut.declared_size, bytes(cut)) == (8, 1 << 40, CONTENT[760:])
    assert len(Buffer(source, 1 << 63, 10)) == 0


def test_a_window_comes_in_pieces(window: Buffer) -> None:
    assert [len(piece) for piece in window.chunks(20)] == [20, 20, 10]
    assert b"".join(window.chunks(7)) == CONTENT[100:150]
