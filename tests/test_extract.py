"""Device dumps as files: inside the directory, whole or not at all, and nothing replaced unasked."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import device_dump, elf, notes, prstatus, usual_elf, usual_kdump
from conftest import Answer
from test_device_dumps import HOSTILE

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OutputError
from vmcoredd_lab.extract import extract, write_atomically
from vmcoredd_lab.problems import Problems

Lab = Callable[..., Answer]
File = Callable[..., Path]
NAMES = ["0-one_0000_02_00.4.bin", "1-two_0000_81_00.4.bin"]
FIRST, SECOND = b"first dump " * 9, b"second dump " * 7


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The directory to extract to; it is not there yet."""
    return tmp_path / "room" / "out"


def listed(directory: Path) -> list[str]:
    """Every name below a directory, hidden ones too."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


# -- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [usual_elf(), usual_kdump()], ids=["ELF", "kdump"])
def test_each_dump_becomes_a_file_of_its_own_bytes(lab: Lab, file: File, out: Path, data: bytes) -> None:
    answer = lab("extract", file(data), out)
    assert answer.status == 0
    assert listed(out) == NAMES
    assert [(out / name).read_bytes() for name in NAMES] == [FIRST, SECOND]
    assert (answer.out, answer.err) == ("", "")


def test_one_dump_may_be_chosen(lab: Lab, file: File, out: Path) -> None:
    assert lab("extract", file(usual_elf()), out, "--dump", "two_0000:81:00.4").status == 0
    assert listed(out) == [NAMES[1]]  # its index in the file stays


def test_from_a_vmcore_without_dumps_nothing_is_written(lab: Lab, file: File, out: Path) -> None:
    answer = lab("extract", file(elf(notes(prstatus(1)))), out)
    assert (answer.status, out.exists()) == (0, False)
    assert "no device dumps" in answer.err


def test_without_a_decoder_payload_and_entities_change_nothing(lab: Lab, file: File, out: Path) -> None:
    assert lab("extract", file(usual_elf()), out, "--payload", "--entities").status == 0
    assert listed(out) == NAMES
    assert (out / NAMES[0]).read_bytes() == FIRST


def test_of_a_dump_that_is_cut_what_is_there_is_written(lab: Lab, file: File, out: Path) -> None:
    whole = usual_elf()
    answer = lab("extract", file(whole[: whole.index(SECOND) + 20]), out)
    assert answer.status == 1
    assert (out / NAMES[0]).read_bytes() == FIRST
    assert (out / NAMES[1]).read_bytes() == SECOND[:20]


def test_dumps_of_one_name_do_not_collide(lab: Lab, file: File, out: Path) -> None:
    assert lab("extract", file(elf(notes(device_dump("nic", b"a") + device_dump("nic", b"b")))), out).status == 0
    assert [path.read_bytes() for path in sorted(out.iterdir())] == [b"a", b"b"]


def test_a_hundred_dumps_are_a_hundred_files(lab: Lab, file: File, out: Path) -> None:
    data = elf(notes(b"".join(device_dump(f"nic{i}", b"%d" % i) for i in range(100))))
    assert lab("extract", file(data), out).status == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        f"{i}-nic{i}.bin": b"%d" % i for i in range(100)
    }


@pytest.mark.parametrize(("umask", "mode"), [(0o027, 0o640), (0, 0o666), (0o077, 0o600)])
def test_files_are_readable_as_the_umask_allows(lab: Lab, file: File, out: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        lab("extract", file(usual_elf()), out)
    finally:
        os.umask(before)
    assert stat.S_IMODE((out / NAMES[0]).stat().st_mode) == mode


# -- with a decoder ---------------------------------------------------------------------------------------------------

TOYS = elf(notes(device_dump("one", b"TOY\x06..", page=4096) + device_dump("two", b"TOY\0", page=4096)))


def test_payload_cuts_the_fill_where_the_length_can_be_believed(toy: type, lab: Lab, file: File, out: Path) -> None:
    answer = lab("extract", file(TOYS), out, "--payload")
    assert [path.stat().st_size for path in sorted(out.iterdir())] == [6, 4096 - 64]
    assert "dump:two" in answer.err
    assert answer.status == 1


def test_without_payload_the_fill_stays(toy: type, lab: Lab, file: File, out: Path) -> None:
    lab("extract", file(TOYS), out)
    assert [path.stat().st_size for path in sorted(out.iterdir())] == [4096 - 64] * 2


def test_entities_are_files_in_a_directory_beside_the_dump(toy: type, lab: Lab, file: File, out: Path) -> None:
    lab("extract", file(TOYS), out, "--entities", "--dump", "one")
    assert listed(out) == ["0-one.bin", "0-one.entities", "0-one.entities/01-first.bin", "0-one.entities/03-third.bin"]
    assert (out / "0-one.entities" / "03-third.bin").read_bytes() == b"entity 3"


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_link_in_the_place_of_that_directory_is_not_followed(
    toy: type, lab: Lab, file: File, out: Path, tmp_path: Path, force: list[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir(parents=True)
    (out / "0-one.entities").symlink_to(elsewhere)
    assert lab("extract", file(TOYS), out, "--entities", "--dump", "one", *force).status == 5
    assert listed(elsewhere) == []


# -- never outside ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [raw for raw, _ in HOSTILE.values()], ids=HOSTILE)
def test_a_hostile_name_stays_in_the_directory(lab: Lab, file: File, out: Path, raw: bytes) -> None:
    vmcore = file(elf(notes(device_dump(raw, b"data"))))
    before = set(listed(out.parent.parent))
    answer = lab("extract", vmcore, out)
    assert answer.status == 0
    (written,) = out.iterdir()
    assert written.read_bytes() == b"data"
    assert written.name.isascii()
    assert written.name.isprintable()
    assert set(listed(out.parent.parent)) - before == {"room", "room/out", f"room/out/{written.name}"}
    assert "\x1b" not in answer.err


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(
    lab: Lab, file: File, out: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    out.mkdir(parents=True)
    (out / NAMES[0]).symlink_to(victim)
    assert lab("extract", file(usual_elf()), out).status == 5
    assert lab("extract", file(usual_elf()), out, "--force").status == 0
    assert victim.read_bytes() == b"precious"
    assert not (out / NAMES[0]).is_symlink()
    assert (out / NAMES[0]).read_bytes() == FIRST


def test_a_link_to_nowhere_counts_as_a_file(lab: Lab, file: File, out: Path, tmp_path: Path) -> None:
    out.mkdir(parents=True)
    (out / NAMES[1]).symlink_to(tmp_path / "nowhere")
    assert lab("extract", file(usual_elf()), out).status == 5
    assert not (tmp_path / "nowhere").exists()
    assert listed(out) == [NAMES[1]]


# -- nothing replaced unasked -----------------------------------------------------------------------------------------


def test_an_existing_file_is_refused_before_anything_is_written(lab: Lab, file: File, out: Path) -> None:
    out.mkdir(parents=True)
    (out / NAMES[1]).write_bytes(b"mine")
    answer = lab("extract", file(usual_elf()), out)
    assert answer.status == 5
    assert "--force" in answer.err
    assert NAMES[1] in answer.err
    assert listed(out) == [NAMES[1]]
    assert (out / NAMES[1]).read_bytes() == b"mine"


def test_force_replaces(lab: Lab, file: File, out: Path) -> None:
    out.mkdir(parents=True)
    (out / NAMES[1]).write_bytes(b"mine")
    assert lab("extract", file(usual_elf()), out, "--force").status == 0
    assert (out / NAMES[1]).read_bytes() == SECOND
    assert listed(out) == NAMES


def test_a_directory_in_the_place_of_a_file_is_not_replaced(lab: Lab, file: File, out: Path) -> None:
    (out / NAMES[0]).mkdir(parents=True)
    assert lab("extract", file(usual_elf()), out).status == 5
    assert lab("extract", file(usual_elf()), out, "--force").status == 5
    assert listed(out) == [NAMES[0]]


def test_a_file_in_the_place_of_the_directory_is_refused(lab: Lab, file: File, tmp_path: Path) -> None:
    vmcore, here = file(usual_elf()), tmp_path / "here"
    here.write_bytes(b"mine")
    for directory in (here, here / "below"):
        assert lab("extract", vmcore, directory).status == 5
        assert lab("extract", vmcore, directory, "--force").status == 5
    assert here.read_bytes() == b"mine"


# -- whole or not at all ----------------------------------------------------------------------------------------------


def failing_pieces() -> Iterator[bytes]:
    yield b"a beginning"
    raise OSError(28, "No space left on device")


def test_when_writing_fails_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(tmp_path / "dump.bin", failing_pieces(), force=False)
    assert listed(tmp_path) == []


def test_when_writing_fails_what_was_there_stays(tmp_path: Path) -> None:
    target = tmp_path / "dump.bin"
    target.write_bytes(b"older")
    with pytest.raises(OutputError):
        write_atomically(target, failing_pieces(), force=True)
    assert listed(tmp_path) == ["dump.bin"]
    assert target.read_bytes() == b"older"


def test_whatever_interrupts_the_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield b"a beginning"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "dump.bin", interrupted(), force=False)
    assert listed(tmp_path) == []


def test_a_name_that_appears_while_writing_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "dump.bin"

    def slow() -> Iterator[bytes]:
        yield b"a beginning"
        target.write_bytes(b"someone else's")

    with pytest.raises(OutputError, match="exists"):
        write_atomically(target, slow(), force=False)
    assert target.read_bytes() == b"someone else's"
    assert listed(tmp_path) == ["dump.bin"]


@pytest.mark.parametrize("force", [False, True])
def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "dump.bin"
    assert write_atomically(target, [b"one", b"two"], force=force) == 6
    assert target.read_bytes() == b"onetwo"
    if not force:
        with pytest.raises(OutputError, match="exists"):
            write_atomically(target, [b"three"], force=force)
    assert listed(tmp_path) == ["dump.bin"]


def test_what_was_written_is_told_with_its_size(tmp_path: Path) -> None:
    core = vl.open_vmcore(usual_elf())
    written = extract(enumerate(core.device_dumps), tmp_path, problems=Problems())
    assert [(one.path.name, one.size) for one in written] == [(NAMES[0], len(FIRST)), (NAMES[1], len(SECOND))]
