"""Text from a dump is shown escaped and never becomes a path as it stands."""

from __future__ import annotations

import doctest
import re
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vmcoredd_lab.notes.vmcoredd
import vmcoredd_lab.text
from vmcoredd_lab.text import escape, human_size, plural, safe_file_name

PRINTABLE = re.compile(r"[\x20-\x7e]*")


@pytest.mark.parametrize("module", [vmcoredd_lab.text, vmcoredd_lab.notes.vmcoredd])
def test_examples_in_the_documentation_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"cxgb4_0000:02:00.4", "cxgb4_0000:02:00.4"),
        (b"\x1b[31mred", r"\x1b[31mred"),
        (b"\x00\x07\x7f\x80\xff", r"\x00\x07\x7f\x80\xff"),
        (b"two\nlines\tand a tab", r"two\x0alines\x09and a tab"),
        ("\u202eright to left", r"\u202eright to left"),
        ("caf\xe9", r"caf\xe9"),
    ],
)
def test_bytes_that_are_not_text_are_shown_as_hexadecimal(raw: bytes | str, shown: str) -> None:
    assert escape(raw) == shown


def test_lines_may_stay_lines() -> None:
    assert escape(b"one\n\ttwo\x1b\r\n", lines=True) == "one\n\ttwo\\x1b\\x0d\n"


@given(st.binary() | st.text())
def test_what_is_shown_is_printable_ascii(raw: bytes | str) -> None:
    assert PRINTABLE.fullmatch(escape(raw))


@given(st.binary(max_size=60).map(escape) | st.text(max_size=60))
def test_a_safe_file_name_is_one_visible_name(name: str) -> None:
    safe = safe_file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}", safe)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("..", "unnamed"),
        ("/", "_"),
        ("../../etc/x", "_.._etc_x"),
        (".bashrc", "bashrc"),
        ("a b;rm -rf ~", "a_b_rm_-rf_"),
    ],
)
def test_hostile_names_lose_what_makes_them_hostile(name: str, safe: str) -> None:
    assert safe_file_name(name) == safe


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (999 * 1024, "999.0 KiB"),
        (1000 * 1024, "1.0 MiB"),
        (1 << 64, "16.0 EiB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(size: int, text: str) -> None:
    assert human_size(size) == text


def test_one_is_singular() -> None:
    assert [plural(n, "note") for n in (0, 1, 2, 100001)] == ["0 notes", "1 note", "2 notes", "100,001 notes"]
