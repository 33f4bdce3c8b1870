"""What other programs say of the files written here: they accept them, and they read the same out of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

import vmcoredd_lab as vl

pytestmark = pytest.mark.peer

STORY = "vmcore/x86_64-story/vmcore.elf.xz"
REAL = {
    "x86_64": STORY,
    "arm64": "vmcore/arm64/vmcore.elf.xz",
    "i386": "vmcore/i386/vmcore.elf.xz",
}
VMLINUX, VMLINUX_CORE = "VMCOREDD_LAB_TEST_VMLINUX", "VMCOREDD_LAB_TEST_VMLINUX_VMCORE"
FORMATS = {"elf": ("elf", None), "none": ("kdump", None), "zlib": ("kdump", "zlib"), "lzo": ("kdump", "lzo"),
           "snappy": ("kdump", "snappy"), "zstd": ("kdump", "zstd")}  # fmt: skip


def program(*names: str) -> str:
    found = next(filter(None, (shutil.which(name) for name in names)), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    options.setdefault("timeout", 120)
    return subprocess.run([str(word) for word in command], check=False, capture_output=True, **options)


def fill(buffer: memoryview) -> None:
    buffer[:5000] = bytes(range(250)) * 20


@pytest.fixture(scope="module")
def written(unpacked: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A real kernel's vmcore with one more device dump, laid out anew, in a format; made once."""
    directory = tmp_path_factory.mktemp("written")

    def find(kernel: str, form: str) -> Path:
        path = directory / f"{kernel}.{form}"
        if not path.exists():
            kind, compression = FORMATS[form]
            package = {"lzo": "lzallright", "snappy": "cramjam", "zstd": "zstandard"}.get(form)
            if package:
                pytest.importorskip(package)
            image = vl.open_vmcore(unpacked(REAL[kernel])).to_image()
            image.add_device_dump("cxgb4_0000:42:00.4", 5000, fill)
            vl.write_vmcore(image, path, kind, compression)
        return path

    return find


@pytest.fixture(params=["x86_64", "arm64", "i386"])
def elf(request: pytest.FixtureRequest, written: Callable[[str, str], Path]) -> Path:
    return written(request.param, "elf")


def memory(core: vl.Vmcore) -> dict[int, bytes]:
    page = core.vmcoreinfo.page_size or 4096
    found: dict[int, bytes] = {}
    for address, data in core.memory.chunks():
        for at in range(-address % page, len(data) - page + 1, page):
            found[address + at] = data[at : at + page]
    return found


def dumps(core: vl.Vmcore) -> list[tuple[str, bytes]]:
    return [(dump.name, bytes(dump.data)) for dump in core.device_dumps]


# -- readelf, eu-readelf, pyelftools ----------------------------------------------------------------------------------


def test_readelf_has_no_warning(elf: Path) -> None:
    ran = run(program("readelf"), "-hlnW", elf)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.count(b"NT_PRSTATUS") == 2


def test_eu_readelf_has_no_warning(elf: Path) -> None:
    ran = run(program("eu-readelf"), "-hln", elf)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"cxgb4_0000:42:00.4" in elf.read_bytes()


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("count", [3, 0xFFFE, 70_000])
def test_program_headers_are_those_that_the_elf_tools_see(tmp_path: Path, bits: int, order: Any, count: int) -> None:
    image = vl.VmcoreImage("ppc" if bits == 32 else "ppc64", byteorder=order)
    image.add_note("CORE", 1, bytes(268))
    for i in range(count):
        image.add_segment(paddr=i << 13, size=0, memsz=4096, vaddr=0x40000000)
    vl.write_vmcore(image, tmp_path / "vmcore")
    for name, options in (("readelf", "-hlW"), ("eu-readelf", "-hl")):
        ran = run(program(name), options, tmp_path / "vmcore")
        assert (ran.returncode, ran.stderr) == (0, b"")
        assert len(re.findall(rb"^ +LOAD ", ran.stdout, re.M)) == count
    with (tmp_path / "vmcore").open("rb") as file:
        assert ELFFile(file).num_segments() == count + 1


# -- crash, with the kernel -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def debug_kernel() -> tuple[Path, Path]:
    """A kernel with debuginfo and a vmcore of it; both are too large to be at hand everywhere."""
    found = [os.environ.get(name) for name in (VMLINUX, VMLINUX_CORE)]
    if not all(found):
        pytest.skip(f"{VMLINUX} and {VMLINUX_CORE} do not name a kernel with debuginfo and a vmcore of it")
    return Path(found[0] or ""), Path(found[1] or "")


@pytest.mark.parametrize("form", ["elf", "zlib"])
def test_crash_finds_kernel_log_and_device_dumps(debug_kernel: tuple[Path, Path], tmp_path: Path, form: str) -> None:
    crash, (vmlinux, vmcore) = program("crash"), debug_kernel
    core = vl.open_vmcore(vmcore)
    image = core.to_image()
    before = len(core.device_dumps)
    wanted = {"cxgb4_0000:42:00.4": bytes(range(250)) * 20, "cxgb4_0000:43:00.4": os.urandom(100_000)}
    for name, data in wanted.items():
        image.add_device_dump(name, len(data), lambda buffer, data=data: buffer.__setitem__(slice(len(data)), data))
    vl.write_vmcore(image, tmp_path / "vmcore", *FORMATS[form])
    commands = "".join(f"dev -v {before + i} {tmp_path}/dump.{i}\n" for i in range(len(wanted)))
    answer = run(
        crash, "-s", vmlinux, tmp_path / "vmcore", input=f"dev -V\n{commands}sys\nlog\nquit\n".encode(), timeout=600
    ).stdout.decode(errors="replace")
    for i, (name, data) in enumerate(wanted.items()):
        copied = (tmp_path / f"dump.{i}").read_bytes()
        assert copied[: len(data)] == data
        assert copied[len(data) :].strip(b"\0") == b""
        assert re.search(rf"^ *{before + i} +0x[0-9a-f]+ +{len(copied)} +{name}$", answer, re.M)
    assert re.search(rf"^ *RELEASE: {re.escape(core.vmcoreinfo.release or '')}$", answer, re.M)
    lines = core.dmesg["text"].tolist()
    assert [line for line in lines[-20:] if line not in answer] == []


# -- makedumpfile -----------------------------------------------------------------------------------------------------


def makedumpfile(*words: object) -> subprocess.CompletedProcess[bytes]:
    return run(program("makedumpfile"), *words)


@pytest.mark.parametrize("options", [["-c"], ["-l"], ["-E"], ["-d", "31"], ["-c", "-d", "1"]], ids=" ".join)
def test_makedumpfile_makes_of_it_what_can_be_read_back_equal(
    written: Callable[[str, str], Path], tmp_path: Path, options: list[str]
) -> None:
    elf = written("x86_64", "elf")
    ran = makedumpfile(*options, elf, tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    ours, theirs = vl.open_vmcore(elf), vl.open_vmcore(tmp_path / "out")
    assert dumps(theirs) == dumps(ours)
    assert [(n.owner, n.type, n.desc_size) for n in theirs.container.notes] == [
        (n.owner, n.type, n.desc_size) for n in ours.container.notes
    ]
    known = memory(ours)
    found = memory(theirs)
    assert found
    assert {at: page for at, page in found.items() if known[at] != page} == {}
    if "-d" not in options:
        assert found == known


def test_makedumpfile_flattens_it(written: Callable[[str, str], Path], tmp_path: Path) -> None:
    elf = written("x86_64", "elf")
    with (tmp_path / "flat").open("wb") as out:
        ran = subprocess.run(
            [program("makedumpfile"), "-F", "-c", elf], check=False, stdout=out, stderr=subprocess.PIPE, timeout=120
        )
    assert ran.returncode == 0, ran.stderr
    assert memory(vl.open_vmcore(tmp_path / "flat")) == memory(vl.open_vmcore(elf))


@pytest.mark.parametrize("form", ["flattened-kdump", "flattened-elf"])
def test_makedumpfile_unfolds_what_was_flattened_here(
    written: Callable[[str, str], Path], tmp_path: Path, form: str
) -> None:
    elf = vl.open_vmcore(written("x86_64", "elf"))
    vl.write_vmcore(elf.to_image(), tmp_path / "flat", form)
    with (tmp_path / "flat").open("rb") as flat:
        ran = run(program("makedumpfile"), "-R", tmp_path / "whole", stdin=flat)
    assert ran.returncode == 0, ran.stderr
    vl.write_vmcore(elf.to_image(), tmp_path / "direct", form.removeprefix("flattened-"))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "direct").read_bytes()


def test_makedumpfile_excludes_pages_of_a_kdump_file_written_here(
    written: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """It reads the bitmaps, the descriptors and the pages for that."""
    ours = written("x86_64", "zlib")
    ran = makedumpfile("-c", "-d", "31", ours, tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    known = memory(vl.open_vmcore(ours))
    found = memory(vl.open_vmcore(tmp_path / "out"))
    assert 0 < len(found) < len(known)
    assert {at: page for at, page in found.items() if known[at] != page} == {}


def test_makedumpfile_puts_parts_together(written: Callable[[str, str], Path], tmp_path: Path) -> None:
    core = vl.open_vmcore(written("x86_64", "zlib"))
    parts = vl.write_vmcore(core.to_image(), tmp_path / "part", "kdump", "zlib", parts=3)
    ran = makedumpfile("--reassemble", *parts, tmp_path / "whole")
    assert ran.returncode == 0, ran.stderr
    assert memory(vl.open_vmcore(tmp_path / "whole")) == memory(core)


@pytest.mark.parametrize("form", ["elf", "none", "zlib", "lzo"])
def test_makedumpfile_finds_the_kernel_log(
    written: Callable[[str, str], Path], shared_data: Path, tmp_path: Path, form: str
) -> None:
    ran = makedumpfile("--dump-dmesg", written("x86_64", form), tmp_path / "log")
    assert ran.returncode == 0, ran.stderr
    log = (tmp_path / "log").read_bytes()
    assert log == (shared_data / "vmcore/x86_64-story/peers/dmesg-vmcore.elf.txt").read_bytes()


# -- crash, vmcore-dmesg ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_crash_finds_the_release(written: Callable[[str, str], Path], form: str) -> None:
    ran = run(program("crash"), "--osrelease", written("x86_64", form))
    assert (ran.returncode, ran.stdout.split()) == (0, [b"6.1.192-realvm-mini"])


def test_vmcore_dmesg_prints_the_kernel_log(
    written: Callable[[str, str], Path], unpacked: Callable[[str], Path]
) -> None:
    name = program("vmcore-dmesg", "/usr/sbin/vmcore-dmesg")
    theirs = run(name, unpacked(STORY))
    ours = run(name, written("x86_64", "elf"))
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert ours.stdout.count(b"\n") > 50


# -- drgn and libkdumpfile --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drgn() -> Iterator[Any]:
    """drgn, told to read ELF files through libkdumpfile too where a test asks for it."""
    module = pytest.importorskip("drgn", reason="drgn is not installed: no other reader of memory to compare with")
    before = os.environ.get("DRGN_USE_LIBKDUMPFILE_FOR_ELF")
    yield module
    if before is None:
        os.environ.pop("DRGN_USE_LIBKDUMPFILE_FOR_ELF", None)
    else:
        os.environ["DRGN_USE_LIBKDUMPFILE_FOR_ELF"] = before


@pytest.mark.parametrize("form", [*FORMATS, "elf by libkdumpfile"])
@pytest.mark.parametrize("kernel", ["x86_64", "arm64"])
def test_drgn_reads_the_same_pages(
    written: Callable[[str, str], Path], drgn: Any, monkeypatch: pytest.MonkeyPatch, kernel: str, form: str
) -> None:
    if form.endswith("libkdumpfile"):
        monkeypatch.setenv("DRGN_USE_LIBKDUMPFILE_FOR_ELF", "1")
    path = written(kernel, form.split(maxsplit=1)[0])
    core = vl.open_vmcore(path)
    other = drgn.Program()
    try:
        other.set_core_dump(path)
    except ValueError as error:
        if "ompress" in str(error):
            pytest.skip(f"this drgn cannot read {form}: {error}")
        raise
    pages = sorted(memory(core).items())
    for at, page in pages[:: max(1, len(pages) // 300)]:
        assert other.read(at, len(page), physical=True) == page
    assert other["UTS_RELEASE"].string_().decode() == core.vmcoreinfo.release
