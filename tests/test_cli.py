"""The command line: what each command prints, in every form, and what it exits with."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import USUAL, Segment, device_dump, elf, notes, prstatus, usual_elf, usual_kdump, usual_notes, vmcoreinfo
from conftest import Answer

import vmcoredd_lab as vl
from vmcoredd_lab.containers.base import SEGMENTS
from vmcoredd_lab.devices.dump import DEVICE_DUMPS
from vmcoredd_lab.notes.table import NOTES
from vmcoredd_lab.problems import PROBLEMS

Lab = Callable[..., Answer]
File = Callable[..., Path]
FRAMES = {"segments": SEGMENTS, "notes": NOTES, "dumps": DEVICE_DUMPS, "problems": PROBLEMS}
OPENING = ["info", "segments", "notes", "dumps", "entities", "registers", "firmware-log", "problems", "hexdump"]
CUT = usual_elf()[:-10]
DRAFT = elf(notes(device_dump("cxgb4_0000:02:00.4", b"data", owner=b"CHELSIO\0")))


@pytest.fixture
def vmcore(file: File) -> Path:
    return file(usual_elf())


@pytest.fixture
def blob(shared_data: Path) -> Path:
    """A bare device dump of a T6, as ethtool -w writes it."""
    return shared_data / "cudbg" / "q-t6-quiet.bin"


# -- exit status ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["info", "segments", "notes", "dumps", "problems", "hexdump"])
@pytest.mark.parametrize("data", [usual_elf(), usual_kdump()], ids=["ELF", "kdump"])
def test_0_done(lab: Lab, file: File, command: str, data: bytes) -> None:
    answer = lab(command, file(data))
    assert (answer.status, answer.err) == (0, "")
    assert answer.out


@pytest.mark.parametrize("command", ["info", "segments", "notes", "dumps", "problems", "hexdump"])
def test_1_done_but_the_file_is_damaged(lab: Lab, file: File, command: str) -> None:
    answer = lab(command, file(CUT))
    assert answer.status == 1
    assert answer.out


def test_1_says_where_to_read_of_the_damage(lab: Lab, file: File) -> None:
    answer = lab("notes", file(CUT), "--format", "json")
    assert answer.column("owner") == USUAL
    assert "vmcoredd-lab problems" in answer.err


@pytest.mark.parametrize(
    "data", [DRAFT, usual_kdump(version=3), usual_kdump(split=(0, 2))], ids=["draft", "v3", "split"]
)
def test_warnings_are_no_damage(lab: Lab, file: File, data: bytes) -> None:
    assert lab("notes", file(data)).status == 0
    answer = lab("problems", file(data), "--format", "json")
    assert answer.status == 0
    assert len(answer.json) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["notes"],
        ["notes", "{}", "extra"],
        ["notes", "{}", "--format", "xml"],
        ["notes", "{}", "--format", "parquet"],
        ["notes", "{}", "--limit", "-1"],
        ["notes", "{}", "--limit", "many"],
        ["hexdump", "{}", "--offset", "zero"],
        ["hexdump", "{}", "--offset", "-1"],
        ["hexdump", "{}", "--length", "-1"],
        ["hexdump", "{}", "--physical", "1", "--virtual", "1"],
        ["hexdump", "{}", "--physical", "1", "--offset", "1"],
        ["hexdump", "{}", "--physical", "0x10000000000000000"],
        ["hexdump", "{}", "--dump", "0", "--virtual", "1"],
        ["registers", "{}", "--causes", "--counters"],
        ["report", "{}", "-o", "report.docx"],
        ["extract", "{}"],
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_2_the_command_line_is_wrong(lab: Lab, vmcore: Path, arguments: list[str]) -> None:
    answer = lab(*(argument.format(vmcore) for argument in arguments))
    assert (answer.status, answer.out) == (2, "")
    assert answer.err


FOREIGN = {
    "empty": (b"", "empty"),
    "text": (b"not a vmcore\n" * 99, "text"),
    "zeros": (bytes(9999), "zeros"),
    "gzip": (b"\x1f\x8b\x08" + bytes(99), "gzip -dc"),
    "xz": (b"\xfd7zXZ\0" + bytes(99), "xz -dc"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(99), "zstd -dc"),
    "bzip2": (b"BZh9" + bytes(99), "bzip2 -dc"),
    "zip": (b"PK\x03\x04" + bytes(99), "unzip"),
    "tar": (b"vmcore".ljust(257, b"\0") + b"ustar" + bytes(300), "tar -xf"),
    "flattened": (b"makedumpfile".ljust(4096, b"\0"), "makedumpfile -R"),
    "random": (bytes(range(200, 256)) * 9, "c8 c9 ca"),
    "one byte": (b"\x7f", "7f"),
    "ELF magic": (b"\x7fELF", "identification"),
    "ELF header cut": (usual_elf()[:63], "cut inside its ELF header"),
    "program": (elf(notes(b""), e_type=2), "not a core"),
    "KDUMP magic": (b"KDUMP   ", "header version"),
    "KDUMP header cut": (usual_kdump()[:400], "cut"),
}


@pytest.mark.parametrize("command", OPENING)
@pytest.mark.parametrize(("data", "hint"), FOREIGN.values(), ids=FOREIGN)
def test_3_the_file_cannot_be_opened(lab: Lab, file: File, command: str, data: bytes, hint: str) -> None:
    path = file(data, "the-file")
    answer = lab(command, path)
    assert (answer.status, answer.out) == (3, "")
    assert str(path) in answer.err
    assert hint in answer.err


@pytest.mark.parametrize("command", OPENING)
def test_3_missing_or_a_directory(lab: Lab, tmp_path: Path, command: str) -> None:
    missing, directory = lab(command, tmp_path / "none"), lab(command, tmp_path)
    assert (missing.status, directory.status) == (3, 3)
    assert f"{tmp_path / 'none'}: no such file" in missing.err
    assert f"{tmp_path}/vmcore" in directory.err


@pytest.mark.parametrize("command", ["notes", "segments"])
def test_3_a_bare_dump_has_no_notes(lab: Lab, blob: Path, command: str) -> None:
    answer = lab(command, blob)
    assert answer.status == 3
    assert "bare device dump" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["entities", "--dump", "2"],
        ["entities", "--dump", "-3"],
        ["entities", "--dump", "nobody"],
        ["entities", "--dump", "one_0000:02:00.5"],
        ["entities", "--dump=--5"],
        ["entities", "--dump=" + "9" * 5000],
        ["entities", "--dump=²"],
        ["entities", "--dump="],
        ["entities"],
        ["entities", "--dump", "all"],
        ["registers"],
        ["firmware-log", "--dump", "1"],
        ["entity", "cim_la"],
        ["hexdump", "--offset", "0x7fffffff"],
        ["hexdump", "--offset", "1" + "0" * 30],
        ["hexdump", "--physical", "0"],
        ["hexdump", "--physical", "0x801c"],
        ["hexdump", "--dump", "0", "--offset", "99"],
        ["hexdump", "--dump", "7"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_4_not_in_the_file(lab: Lab, vmcore: Path, arguments: list[str]) -> None:
    answer = lab(arguments[0], vmcore, *arguments[1:])
    assert (answer.status, answer.out) == (4, "")
    assert str(vmcore) in answer.err


@pytest.mark.parametrize("command", ["entities", "registers", "firmware-log"])
@pytest.mark.parametrize("which", [[], ["--dump", "all"], ["--dump", "0"]])
def test_4_no_dumps_at_all(lab: Lab, file: File, command: str, which: list[str]) -> None:
    answer = lab(command, file(elf(notes(prstatus(1)))), *which)
    assert answer.status == 4
    assert "no device dump" in answer.err


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
def test_5_the_output_cannot_be_written(lab: Lab, vmcore: Path, tmp_path: Path, form: str) -> None:
    nowhere, directory = tmp_path / "none" / "out", tmp_path / "directory"
    directory.mkdir()
    answer = lab("notes", vmcore, "--format", form, "-o", nowhere)
    assert (answer.status, answer.out) == (5, "")
    assert str(nowhere) in answer.err
    assert lab("notes", vmcore, "--format", form, "-o", directory).status in (2, 5)


def test_5_no_room_on_standard_output(vmcore: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is not there")
    with full.open("w") as out:
        run = run_program("segments", str(vmcore), stdout=out)
    assert run.returncode == 5
    assert b"Traceback" not in run.stderr


def test_the_highest_status_counts(lab: Lab, file: File, tmp_path: Path) -> None:
    cut = file(CUT)
    assert lab("entities", cut, "--dump", "7").status == 4
    assert lab("notes", cut, "-o", tmp_path / "none" / "out").status == 5


def test_help_names_every_command_and_status(lab: Lab) -> None:
    answer = lab("--help")
    assert answer.status == 0
    for command in [*OPENING, "entity", "extract", "report"]:
        assert f"\n  {command} " in answer.out
        assert lab(command, "--help").status == 0
    assert "Exit status" in answer.out


def test_the_version_is_the_packages(lab: Lab) -> None:
    assert vl.__version__ in lab("--version").out


# -- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", FRAMES)
@pytest.mark.parametrize("data", [usual_elf(), usual_kdump(), CUT], ids=["ELF", "kdump", "cut"])
def test_every_form_says_the_same(lab: Lab, file: File, tmp_path: Path, command: str, data: bytes) -> None:
    path, parquet = file(data), tmp_path / "out.parquet"
    records = lab(command, path, "--format", "json").json
    rows = list(csv.DictReader(io.StringIO(lab(command, path, "--format", "csv").out)))
    lab(command, path, "--format", "parquet", "-o", parquet)
    frame = pd.read_parquet(parquet)
    assert list(frame.columns) == FRAMES[command].names
    assert all(list(record) == FRAMES[command].names for record in records)
    assert [[("" if v is None else str(v)) for v in record.values()] for record in records] == [
        list(r.values()) for r in rows
    ]
    plain = frame.astype(object).where(frame.notna(), None)
    assert plain.to_dict("records") == records
    assert len(lab(command, path).out.splitlines()) == len(records) + 1


def test_integers_are_exact_and_missing_is_null(lab: Lab, file: File) -> None:
    path = file(elf(notes(usual_notes()), Segment(vaddr=(1 << 64) - 1, memsz=(1 << 53) + 1)))
    row = lab("segments", path, "--format", "json").json[1]
    assert (row["vaddr"], row["memsz"]) == ((1 << 64) - 1, (1 << 53) + 1)
    assert lab("segments", file(usual_kdump()), "--format", "json").json[0]["vaddr"] is None


def test_a_frame_without_rows_is_an_empty_list(lab: Lab, file: File) -> None:
    answer = lab("dumps", file(elf(notes(prstatus(1)))), "--format", "json")
    assert (answer.status, answer.json) == (0, [])
    assert lab("problems", file(usual_elf()), "--format", "json").json == []


def test_the_table_is_aligned_and_shows_every_row(lab: Lab, file: File) -> None:
    many = elf(notes(b"".join(device_dump(f"nic{i}", b"x") for i in range(300))))
    lines = lab("dumps", file(many)).out.splitlines()
    assert len(lines) == 301
    assert len({line.index("nic") for line in lines[1:]}) == 1


def test_a_limit_cuts_rows_in_every_form(lab: Lab, vmcore: Path) -> None:
    assert len(lab("notes", vmcore, "--limit", "2").out.splitlines()) == 3
    assert len(lab("notes", vmcore, "--limit", "2", "--format", "json").json) == 2
    assert len(lab("notes", vmcore, "--limit", "0", "--format", "json").json) == 5


def test_hostile_text_is_escaped_in_every_form(lab: Lab, file: File) -> None:
    path = file(elf(notes(device_dump(b"\x1b[2Jname\xff", b"x") + vmcoreinfo("OSRELEASE=6.1\x1b[31m\n"))))
    for command in ("info", "dumps", "notes"):
        for form in ("table", "json"):
            answer = lab(command, path, "--format", form)
            assert answer.out.isascii()
            assert "\x1b" not in answer.out
            assert "x1b[2Jname" in answer.out
    assert lab("dumps", path, "--format", "json").column("name") == [r"\x1b[2Jname\xff"]


# -- -o ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_o_writes_what_would_be_printed(lab: Lab, vmcore: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    printed = lab("notes", vmcore, "--format", form).out
    answer = lab("notes", vmcore, "--format", form, "-o", out)
    assert (answer.status, answer.out, out.read_text()) == (0, "", printed)


def test_o_replaces_in_one_step(lab: Lab, vmcore: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("older")
    with out.open() as reader:
        lab("notes", vmcore, "--format", "json", "-o", out)
        assert reader.read() == "older"  # who had it open keeps the old file whole
    assert len(json.loads(out.read_text())) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "vmcore"]


def test_o_leaves_the_older_file_when_the_vmcore_cannot_be_opened(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("older")
    assert lab("notes", tmp_path / "none", "-o", out).status == 3
    assert out.read_text() == "older"


def test_o_writes_into_what_is_no_regular_file(lab: Lab, vmcore: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert lab("notes", vmcore, "--format", "json", "-o", fifo).status == 0
        assert len(json.loads(os.read(reader, 1 << 16))) == 5
    finally:
        os.close(reader)
    assert fifo.is_fifo()


def test_info_can_be_written_too(lab: Lab, vmcore: Path, tmp_path: Path) -> None:
    for form in ("table", "json"):
        assert lab("info", vmcore, "--format", form, "-o", tmp_path / form).status == 0
        assert (tmp_path / form).read_text() == lab("info", vmcore, "--format", form).out


# -- info -------------------------------------------------------------------------------------------------------------


def test_info_answers_what_happened_and_what_is_in_here(lab: Lab, vmcore: Path) -> None:
    answer = lab("info", vmcore)
    for fact in (
        "elf64",
        "6.1.0-test",
        "x86_64",
        "2023-11-14 22:13:20 UTC",
        "one_0000:02:00.4",
        "two_0000:81:00.4",
        "no problems",
    ):
        assert fact in answer.out
    assert len(answer.out.splitlines()) <= 24


def test_info_as_json_has_the_facts(lab: Lab, vmcore: Path) -> None:
    facts = lab("info", vmcore, "--format", "json").json
    wanted = {
        "format": "elf64", "machine": "x86_64", "byteorder": "little", "kernel_release": "6.1.0-test",
        "crash_time": "2023-11-14T22:13:20Z", "page_size": 4096, "cpus": 2, "notes": 5, "segments": 3,
    }  # fmt: skip
    assert {name: facts[name] for name in wanted} == wanted
    assert [dump["name"] for dump in facts["device_dumps"]] == ["one_0000:02:00.4", "two_0000:81:00.4"]
    assert facts["memory"] == {"covered": 27 + 0x1000, "held": 27 + 28}
    assert facts["problems"] == []


def test_info_of_a_kdump_file_takes_what_vmcoreinfo_lacks_from_its_header(lab: Lab, file: File) -> None:
    facts = lab("info", file(usual_kdump(version=2, release="5.4")), "--format", "json").json
    assert (facts["format"], facts["kernel_release"], facts["cpus"]) == ("kdump-compressed", "5.4", 2)
    assert facts["memory"] == {"covered": 3 * 512, "held": 2 * 512}


def test_info_shows_a_dozen_dumps_and_says_how_many_more(lab: Lab, file: File) -> None:
    answer = lab("info", file(elf(notes(b"".join(device_dump(f"nic{i}", b"x") for i in range(100))))))
    assert "100 device dumps" in answer.out
    assert "88 more" in answer.out
    assert len(answer.out.splitlines()) <= 30


def test_a_clock_that_never_ran_is_told(lab: Lab, file: File) -> None:
    answer = lab("info", file(elf(notes(vmcoreinfo("OSRELEASE=6.1\nCRASHTIME=1\n")))))
    assert "no clock" in answer.out
    assert "1970" not in answer.out


def test_info_of_a_bare_dump(lab: Lab, blob: Path) -> None:
    facts = lab("info", blob, "--format", "json").json
    assert (facts["format"], len(facts["device_dumps"])) == ("device dump", 1)


# -- --dump -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_adapters(file: File, shared_data: Path) -> Path:
    """A vmcore with two genuine device dumps, and between them one that nobody decodes."""
    first, second = ((shared_data / "cudbg" / f"q-t6-{name}.bin").read_bytes() for name in ("fwcrash", "quiet"))
    return file(
        elf(
            notes(
                device_dump("cxgb4_0000:02:00.4", first, page=4096)
                + device_dump("other_0000:03:00.0", b"of another driver", page=4096)
                + device_dump("cxgb4_0000:81:00.4", second, page=4096)
            )
        )
    )


def test_without_dump_the_first_is_taken_and_a_line_says_that_there_are_more(lab: Lab, two_adapters: Path) -> None:
    answer = lab("entities", two_adapters, "--format", "json")
    assert answer.status == 0
    assert "dump" not in answer.json[0]
    assert "cxgb4_0000:02:00.4" in answer.err
    assert "3 device dumps" in answer.err
    assert "--dump" in answer.err


def test_a_single_dump_needs_no_such_line(lab: Lab, blob: Path) -> None:
    assert lab("entities", blob).err == ""


@pytest.mark.parametrize("which", ["cxgb4_0000:81:00.4", "0000:81:00.4", "2", "-1"])
def test_dump_takes_a_name_an_address_or_an_index(lab: Lab, two_adapters: Path, blob: Path, which: str) -> None:
    answer = lab("entities", two_adapters, "--dump", which, "--format", "json")
    assert (answer.status, answer.err) == (0, "")
    assert answer.json == lab("entities", blob, "--format", "json").json


@pytest.mark.parametrize("command", ["entities", "registers", "firmware-log"])
def test_dump_all_puts_a_column_in_front(lab: Lab, two_adapters: Path, command: str) -> None:
    answer = lab(command, two_adapters, "--dump", "all", "--format", "json")
    each = [lab(command, two_adapters, "--dump", which, "--format", "json").json for which in ("0", "2")]
    assert answer.status == 0
    assert next(iter(answer.json[0])) == "dump"
    assert [{k: v for k, v in row.items() if k != "dump"} for row in answer.json] == each[0] + each[1]
    assert list(dict.fromkeys(answer.column("dump"))) == ["cxgb4_0000:02:00.4", "cxgb4_0000:81:00.4"]
    assert "other_0000:03:00.0" in answer.err


def test_a_dump_named_like_a_number_is_found_by_its_name(lab: Lab, file: File, tmp_path: Path) -> None:
    path = file(elf(notes(device_dump("1", b"named one") + device_dump("0", b"named zero"))))
    assert lab("extract", path, tmp_path / "out", "--dump", "1").status == 0
    assert [p.read_bytes() for p in (tmp_path / "out").iterdir()] == [b"named one"]


# -- hexdump ----------------------------------------------------------------------------------------------------------


def hex_bytes(text: str) -> bytes:
    """Return the bytes of a hexdump without repeated lines."""
    return b"".join(bytes.fromhex(line.split(": ")[1][:49]) for line in text.splitlines())


@pytest.mark.parametrize(("offset", "length"), [(0, 64), (3, 20), (1, 1), (200, 256), (0, 17)])
def test_hexdump_shows_bytes_of_the_file(lab: Lab, vmcore: Path, offset: int, length: int) -> None:
    answer = lab("hexdump", vmcore, "--offset", offset, "--length", length)
    lines = answer.out.splitlines()
    at = [int(line.split(":")[0], 16) for line in lines]
    for start, line in zip(at, lines, strict=True):
        if not line.endswith("*"):
            assert (
                bytes.fromhex(line.split(": ")[1][:49]) == vmcore.read_bytes()[start : min(start + 16, offset + length)]
            )


def test_hexdump_has_address_hexadecimal_and_text(lab: Lab, vmcore: Path) -> None:
    line = lab("hexdump", vmcore, "--length", "16").out.rstrip("\n")
    assert line == "00000000: 7F 45 4C 46 02 01 01 00  00 00 00 00 00 00 00 00  .ELF............"


def test_equal_lines_become_a_star(lab: Lab, file: File) -> None:
    path = file(elf(notes(usual_notes()), Segment(b"\xaa" * 160, paddr=0x1000)))
    lines = lab("hexdump", path, "--physical", "0x1000", "--length", "160").out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["00001000", "*", "00001090"]


@pytest.mark.parametrize(
    ("option", "address"), [("--physical", "0x1000"), ("--virtual", "0x80001000"), ("--physical", "4096")]
)
def test_hexdump_shows_memory_at_its_own_address(lab: Lab, vmcore: Path, option: str, address: str) -> None:
    answer = lab("hexdump", vmcore, option, address, "--length", "27")
    assert hex_bytes(answer.out) == b"memory of the first segment"
    assert int(answer.out.split(":")[0], 16) == int(address, 0)


def test_hexdump_shows_bytes_of_a_dump(lab: Lab, vmcore: Path) -> None:
    answer = lab("hexdump", vmcore, "--dump", "two_0000:81:00.4", "--offset", "7", "--length", "20")
    assert hex_bytes(answer.out) == (b"second dump " * 7)[7:27]
    assert lab("hexdump", vmcore, "--dump", "0", "--offset", "90").out.startswith("0000005a: ")  # what is left of it


def test_hexdump_of_nothing_is_nothing(lab: Lab, vmcore: Path) -> None:
    assert lab("hexdump", vmcore, "--length", "0") == Answer(0, "", "")


def test_pages_left_out_are_not_shown_as_zeros(lab: Lab, vmcore: Path) -> None:
    answer = lab("hexdump", vmcore, "--physical", "0x8000", "--length", "64")
    assert (answer.status, answer.out) == (4, "")
    assert "0x801c" in answer.err


# -- as a process -----------------------------------------------------------------------------------------------------


def run_program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-c", "from vmcoredd_lab.cli import main; main()", *arguments]
    return subprocess.run(program, stderr=subprocess.PIPE, check=False, **options)


@pytest.mark.parametrize("arguments", [["segments"], ["segments", "--format", "json"], ["segments", "--format", "csv"],
                                       ["hexdump", "--length", "0x100000"]], ids=" ".join)  # fmt: skip
def test_a_reader_that_goes_away_is_no_error(file: File, arguments: list[str]) -> None:
    path = file(elf(notes(usual_notes()), *(Segment(bytes(range(64)), paddr=i << 12) for i in range(20_000))))
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reader, os.fdopen(theirs, "wb") as writer:
        process = subprocess.Popen(
            [sys.executable, "-c", "from vmcoredd_lab.cli import main; main()", arguments[0], str(path), *arguments[1:]],
            stdout=writer, stderr=subprocess.PIPE,
        )  # fmt: skip
        writer.close()
        assert reader.read(10)
        reader.close()
        _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


def test_the_program_is_installed(vmcore: Path) -> None:
    program = Path(sys.executable).with_name("vmcoredd-lab")
    run = subprocess.run([program, "notes", str(vmcore)], capture_output=True, check=False)
    assert (run.returncode, len(run.stdout.splitlines())) == (0, 6)


def test_help_lists_the_commands_in_the_order_of_a_post_mortem(lab: Lab) -> None:
    from vmcoredd_lab.cli.main import ORDER, cli

    assert lab("--help").status == 0
    assert sorted(cli.commands) == sorted(ORDER)
    assert cli.list_commands(None) == list(ORDER)  # type: ignore[arg-type]
