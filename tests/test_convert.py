"""convert: another container from the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Kdump, elf, usual_elf
from pages_builder import pages

import vmcoredd_lab as vl


def chunks(path: Any) -> list[tuple[int, bytes]]:
    return list(vl.open_vmcore(path).memory.chunks(512))


@pytest.mark.parametrize("form", ["elf", "kdump", "flattened-elf", "flattened-kdump"])
def test_another_container_holds_the_same(lab: Any, file: Callable[..., Path], tmp_path: Path, form: str) -> None:
    source = file(pages("pz.xpp").build())
    answer = lab("convert", source, "-o", tmp_path / "out", "--format", form)
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert chunks(tmp_path / "out") == chunks(source)
    assert lab("dumps", tmp_path / "out", "--format", "json").column("name") == ["one_0000:02:00.4", "two_0000:81:00.4"]


def test_kdump_with_zlib_is_the_default(lab: Any, file: Callable[..., Path], tmp_path: Path) -> None:
    lab("convert", file(usual_elf()), "-o", tmp_path / "out")
    core = vl.open_vmcore(tmp_path / "out")
    assert (core.format, core.container.identity()["compression"]) == ("kdump-compressed", "zlib")


def test_pages_may_be_stored_as_they_are(lab: Any, file: Callable[..., Path], tmp_path: Path) -> None:
    lab("convert", file(usual_elf()), "-o", tmp_path / "out", "--compression", "none")
    assert vl.open_vmcore(tmp_path / "out").container.identity()["compression"] == "none"


def test_parts_are_numbered(lab: Any, file: Callable[..., Path], tmp_path: Path) -> None:
    source = file(pages("pz.xppppp").build())
    assert lab("convert", source, "-o", tmp_path / "out", "--parts", "2").status == 0
    assert chunks([tmp_path / "out.2", tmp_path / "out.1"]) == chunks(source)


def test_standard_output_takes_a_flattened_file(file: Callable[..., Path], tmp_path: Path) -> None:
    source = file(pages("pz.xpp").build())
    command = [sys.executable, "-m", "vmcoredd_lab", "convert", str(source), "-o", "-", "--format", "flattened-kdump"]
    run = subprocess.run(command, capture_output=True, check=True)
    assert chunks(run.stdout) == chunks(source)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--format", "elf", "--compression", "zlib"], 2),
        (["--format", "elf", "--parts", "2"], 2),
        (["--format", "kdump", "-o", "-"], 2),
        (["--machine", "vax"], 2),
        (["-o", "/no/such/directory/out"], 5),
    ],
)
def test_what_cannot_be_done_has_its_exit_status(
    lab: Any, file: Callable[..., Path], tmp_path: Path, options: list[str], status: int
) -> None:
    source = file(usual_elf())
    answer = lab("convert", source, "-o", tmp_path / "out", *options)
    assert (answer.status, answer.out) == (status, "")
    assert "Traceback" not in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["vmcore"]


def test_a_page_that_is_damaged_is_named_and_nothing_is_written(
    lab: Any, file: Callable[..., Path], tmp_path: Path
) -> None:
    answer = lab("convert", file(pages("pp", stored={1: b"no stream"}).build()), "-o", tmp_path / "out")
    assert answer.status == 4
    assert "page frame 0x1" in answer.err
    assert not (tmp_path / "out").exists()


def test_salvage_leaves_a_damaged_page_out_and_names_it(lab: Any, file: Callable[..., Path], tmp_path: Path) -> None:
    source = file(pages("ppp", stored={1: b"no stream"}).build())
    answer = lab("convert", source, "-o", tmp_path / "out", "--salvage")
    assert answer.status == 1
    assert "physical address 0x200 cannot be read (damaged)" in answer.err
    whole = dict(chunks(file(pages("ppp").build(), "whole")))
    saved = dict(chunks(tmp_path / "out"))
    assert sorted(saved) == [0, 1024]
    assert all(whole[at] == data for at, data in saved.items())


def test_an_error_of_damaged_memory_tells_of_salvage(lab: Any, file: Callable[..., Path], tmp_path: Path) -> None:
    answer = lab("convert", file(pages("pp", stored={1: b"no stream"}).build()), "-o", tmp_path / "out")
    assert "--salvage" in answer.err


def test_a_cut_elf_file_is_converted_as_far_as_it_goes(lab: Any, file: Callable[..., Path], tmp_path: Path) -> None:
    answer = lab("convert", file(usual_elf()[:-10]), "-o", tmp_path / "out")
    assert answer.status == 1
    assert len(vl.open_vmcore(tmp_path / "out").device_dumps) == 2


def test_a_machine_that_the_file_does_not_name_is_given(lab: Any, file: Callable[..., Path], tmp_path: Path) -> None:
    source = file(Kdump(machine="Unknown").build())  # without notes nothing tells it
    assert lab("convert", source, "-o", tmp_path / "out", "--format", "elf").status == 2
    assert not (tmp_path / "out").exists()
    answer = lab("convert", source, "-o", tmp_path / "out", "--format", "elf", "--machine", "riscv64")
    assert answer.status == 0
    assert vl.open_vmcore(tmp_path / "out").machine == "riscv64"


def test_an_elf_file_of_a_machine_without_a_name_stays_what_it_is(
    lab: Any, file: Callable[..., Path], tmp_path: Path
) -> None:
    source = file(elf(machine=12345))
    lab("convert", source, "-o", tmp_path / "out", "--format", "elf")
    assert (tmp_path / "out").read_bytes() == source.read_bytes()
