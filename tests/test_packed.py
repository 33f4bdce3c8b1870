"""gzip, bzip2, xz, zstd and tar: read at will as what is inside, in bounded memory, or refused with the command that unpacks."""

from __future__ import annotations

import gzip
import lzma
import random
import struct
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from builders import device_dump, elf, notes, usual_elf, usual_kdump
from cudbg_builder import usual as usual_cudbg
from hypothesis import given
from hypothesis import strategies as st
from wrap_builder import PACKERS, flatten, many, tar, xz, zstd

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.opening import open_file
from vmcoredd_lab.source import ByteSource, layers, open_unwrapped, packed, spill, streams
from vmcoredd_lab.source.commands import unpack_command

ELF, KDUMP = usual_elf(), usual_kdump()
VMCORES = {"ELF": ELF, "kdump": KDUMP}
LARGE = random.Random(7).randbytes(300_000) + bytes(200_000) + bytes(range(256)) * 1000
File = Callable[..., Path]


def inside(data: Any) -> ByteSource:
    """What a file wraps, whatever it is."""
    return open_unwrapped(data, wanted=lambda source: True)


def errors(source: ByteSource) -> list[str]:
    return [p.message for p in source.problems() if p.severity == "error"]


# -- as a vmcore ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", PACKERS)
@pytest.mark.parametrize("plain", VMCORES.values(), ids=VMCORES)
def test_a_packed_vmcore_is_the_vmcore(form: str, plain: bytes) -> None:
    core, straight = vl.open_vmcore(PACKERS[form](plain)), vl.open_vmcore(plain)
    for table in ("notes_table", "segments_table", "problems_table"):
        assert getattr(core, table)().records() == getattr(straight, table)().records()
    assert core.device_dumps.table().records() == straight.device_dumps.table().records()
    assert [bytes(d.data) for d in core.device_dumps] == [bytes(d.data) for d in straight.device_dumps]
    assert (core.container.source.size, core.container.source.layers) == (len(plain), (form,))


@pytest.mark.parametrize(
    ("wrapped", "shown"),
    [
        (lambda: gzip.compress(flatten(ELF)), ["gzip", "flattened"]),
        (lambda: gzip.compress(tar(("var/crash/vmcore", ELF))), ["gzip", "tar member var/crash/vmcore"]),
        (lambda: tar(("vmcore", ELF)), ["tar member vmcore"]),
        (
            lambda: xz(tar(("v.flat.gz", gzip.compress(flatten(ELF))))),
            ["xz", "tar member v.flat.gz", "gzip", "flattened"],
        ),
    ],
)
def test_layers_are_taken_off_one_by_one(lab: Any, file: File, wrapped: Any, shown: list[str]) -> None:
    path = file(wrapped())
    answer = lab("info", path, "--format", "json")
    assert (answer.status, answer.json["layers"], answer.json["file_size"]) == (0, shown, len(ELF))
    assert "sizes and offsets are those of what is inside" in lab("info", path).out


def test_the_name_says_nothing(lab: Any, file: File) -> None:
    assert lab("notes", file(gzip.compress(ELF), "vmcore.xz")).status == 0
    assert lab("notes", file(ELF, "vmcore.gz")).status == 0


def test_too_many_layers_are_refused() -> None:
    data = ELF
    for _ in range(layers.MOST_LAYERS + 2):
        data = gzip.compress(data)
    with pytest.raises(OpenError, match="too many layers"):
        inside(data)


def test_what_is_inside_and_no_vmcore_is_named_with_its_wrapping() -> None:
    with pytest.raises(OpenError, match="found text in gzip"):
        vl.open_vmcore(gzip.compress(b"not a vmcore\n" * 99))


def test_a_packed_device_dump_is_a_device_dump(lab: Any, file: File) -> None:
    plain = bytes(usual_cudbg())
    for name, data in {
        "dump.gz": gzip.compress(plain),
        "dump.tar": tar(("readme", b"text"), ("eth0.bin", plain)),
    }.items():
        assert lab("entities", file(data, name)).status == lab("entities", file(plain)).status == 0
        assert vl.open_device_dump(data).size == len(plain)


def test_parts_of_a_split_dump_may_be_packed() -> None:
    parts = [usual_kdump(frames="p.xpppp.", split=part) for part in ((0, 4), (4, 8))]
    core = vl.open_vmcore([gzip.compress(parts[0]), flatten(parts[1])])
    assert core.segments_table().records() == vl.open_vmcore(parts).segments_table().records()


def test_a_plain_vmcore_brings_in_no_codec(file: File) -> None:
    code = (
        "import sys; from vmcoredd_lab.cli import main\ntry: main(['info', sys.argv[1]])\nfinally: print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code, file(ELF)], capture_output=True, text=True, check=False)
    modules = run.stdout.splitlines()[-1].split()
    assert "vmcoredd_lab.source.layers" in modules
    assert not {"zstandard", "tarfile", "vmcoredd_lab.source.packed", "vmcoredd_lab.source.streams"} & set(modules)


# -- bytes at will ----------------------------------------------------------------------------------------------------

SHAPES: dict[str, Callable[[bytes], bytes]] = {
    **PACKERS,
    **{f"{form} in pieces": lambda data, pack=pack: many(pack, data, 90_000) for form, pack in PACKERS.items()},
    "zstd without its size": lambda data: zstd(data, size=False),
    "xz with padding": lambda data: xz(data) + bytes(8) + xz(data[:0]) + bytes(4),
}
if "zstd" not in PACKERS:
    SHAPES = {name: pack for name, pack in SHAPES.items() if not name.startswith("zstd")}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is kept, a hundred times smaller: what happens in large files happens in small ones."""
    monkeypatch.setattr(packed, "BLOCK", 4096)
    monkeypatch.setattr(packed, "KEPT", 4)
    monkeypatch.setattr(packed, "SPACING", 20_000)
    monkeypatch.setattr(packed, "CHECKPOINTS", 8)
    monkeypatch.setattr(packed, "SEEN", 10_000)
    monkeypatch.setattr(spill, "IN_MEMORY", 50_000)


@pytest.mark.parametrize("shape", SHAPES)
def test_any_bytes_come_in_any_order(small: None, shape: str, file: File) -> None:
    source = inside(file(SHAPES[shape](LARGE)))
    assert source.size == len(LARGE)
    chance = random.Random(1)
    for _ in range(60):
        offset, size = chance.randrange(len(LARGE)), chance.choice([1, 5000, 100_000])
        assert source.read(offset, size) == LARGE[offset : offset + size]
    assert source.read(len(LARGE) - 3, 1 << 40) == LARGE[-3:]
    assert source.read(len(LARGE), 1) == b"" == source.read(1 << 63, 1)
    assert errors(source) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_backwards_gives_the_same(small: None, shape: str) -> None:
    source = inside(SHAPES[shape](LARGE))
    steps = range(0, len(LARGE), 9000)
    assert b"".join(reversed([source.read(at, 9000) for at in reversed(steps)])) == LARGE


def test_checkpoints_of_gzip_become_fewer_where_a_file_is_long(small: None) -> None:
    source = inside(gzip.compress(LARGE))
    assert isinstance(source, packed.PackedSource)
    assert len(source._restarts) <= 8
    assert source._restarts[-1].position > len(LARGE) // 2


@given(st.lists(st.tuples(st.integers(0, 2600), st.integers(0, 2600)), max_size=8), st.sampled_from(sorted(SHAPES)))
def test_reads_at_the_edges_are_those_of_the_plain_file(reads: list[tuple[int, int]], shape: str) -> None:
    plain = bytes(range(250)) * 10
    source = inside(SHAPES[shape](plain))
    for offset, size in reads:
        assert source.read(offset, size) == plain[offset : offset + size]


def test_threads_may_read_at_the_same_time(small: None) -> None:
    from concurrent.futures import ThreadPoolExecutor

    source = inside(xz(LARGE))
    places = [random.Random(3).randrange(len(LARGE)) for _ in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda at: source.read(at, 3000), places)) == [LARGE[at : at + 3000] for at in places]


def test_memory_stays_bounded_whatever_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vmcore.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(ELF)
        for _ in range(100):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    source = inside(path)
    for at in range(0, source.size, 5 << 20):
        assert len(source.read(at, 100)) == 100
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source.size == len(ELF) + (100 << 20)
    assert peak < 45 << 20


@pytest.mark.parametrize("form", sorted({"xz", "zstd"} & set(PACKERS)))
def test_where_the_size_is_recorded_only_what_is_asked_for_is_unpacked(form: str) -> None:
    plain = ELF + random.Random(5).randbytes(8 << 20)
    data = PACKERS[form](plain)
    fed: list[int] = []

    class Counted(ByteSource):
        name, size = "counted", len(data)

        def read(self, offset: int, size: int) -> bytes:
            fed.append(len(data[offset : offset + size]))
            return data[offset : offset + size]

    core = vl.open_vmcore(Counted())
    assert len(core.notes_table()) == 5
    assert sum(fed) < len(data) / 4


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [name for name in SHAPES if "padding" not in name])
def test_cut_anywhere_what_comes_before_the_cut_is_there(shape: str) -> None:
    plain = LARGE[:40_000] + ELF * 9
    data = SHAPES[shape](plain)
    longest = 0
    for length in range(16, len(data), len(data) // 40):  # of less nothing says that it is packed
        try:
            source = inside(data[:length])
        except OpenError:
            assert not longest, length
            continue
        assert source.size <= len(plain)
        assert source.read(0, len(plain)) == plain[: source.size]
        assert source.size >= longest
        longest = source.size
        if source.layers:
            assert errors(source) or "in pieces" in shape, length
    if not shape.startswith(("bzip2", "zstd")):  # of which blocks of 900 kB and 128 KiB are whole or lost
        assert longest > 35_000


def test_a_cut_vmcore_in_gzip_keeps_its_sound_notes(lab: Any, file: File) -> None:
    plain = elf(notes(device_dump("first", b"1" * 400) + device_dump("second", random.Random(1).randbytes(9000))))
    data = gzip.compress(plain)
    answer = lab("dumps", file(data[: len(data) // 2]), "--format", "json")
    assert (answer.status, answer.column("name")) == (1, ["first", "second"])
    assert {"gzip file", "dump:second"} <= set(
        lab("problems", file(data[: len(data) // 2]), "--format", "json").column("where")
    )


def test_of_damaged_gzip_every_byte_before_the_damage_is_used() -> None:
    plain = random.Random(2).randbytes(100_000)
    data = bytearray(gzip.compress(plain, 0))
    at = data.index(plain[60_000:60_030])
    data[at] ^= 0xFF
    source = inside(bytes(data))
    assert source.read(0, 60_000) == plain[:60_000]
    assert "incorrect data check" in errors(source)[0]


def test_gzip_that_cannot_be_inflated_further_ends_where_it_breaks() -> None:
    plain = bytes(random.Random(2).choices(b"abcd", k=200_000))
    data = bytearray(gzip.compress(plain))
    middle = len(data) // 2
    data[middle : middle + 40] = b"\xff" * 40
    source = inside(bytes(data))
    assert 0.4 * len(plain) < source.size < 0.6 * len(plain)
    assert source.read(0, 80_000) == plain[:80_000]
    assert len(errors(source)) == 1


@pytest.mark.parametrize("form", sorted({"xz", "zstd"} & set(PACKERS)))
def test_a_damaged_piece_costs_that_piece(small: None, form: str) -> None:
    pieces = [random.Random(n).randbytes(20_000) for n in range(6)]
    data = bytearray(b"".join(PACKERS[form](piece) for piece in pieces))
    middle = len(data) * 5 // 12  # in the third
    data[middle : middle + 20] = bytes(20)
    source = inside(bytes(data))
    assert source.size == 120_000
    assert source.read(0, 40_000) == pieces[0] + pieces[1]
    assert source.read(61_440, 58_560) == b"".join(pieces)[61_440:]
    assert source.read(40_000, 20_000) != pieces[2]
    assert errors(source)


def test_of_a_cut_zstd_frame_every_whole_block_is_used() -> None:
    data = zstd(LARGE)
    source = inside(data[: len(data) * 3 // 4])
    assert source.size >= 128 << 10
    assert source.read(0, len(LARGE)) == LARGE[: source.size]
    assert "cut or damaged inside a frame" in errors(source)[0]


def test_a_wrong_checksum_is_told_and_the_bytes_are_shown() -> None:
    for form, pack in PACKERS.items():
        if form == "bzip2":  # checks a block before it gives it
            continue
        data = bytearray(pack(KDUMP))
        at = {"gzip": -8, "xz": -(12 + 12 + 8), "zstd": -1}[form]
        data[at] ^= 0x55
        source = inside(bytes(data))
        held = len(KDUMP) - (form == "zstd")  # whose last byte comes with the checksum
        assert source.read(0, len(KDUMP))[:held] == KDUMP[:held]
        assert errors(source), form


@pytest.mark.parametrize("form", PACKERS)
def test_bytes_behind_the_end_are_told_and_not_used(form: str) -> None:
    source = inside(PACKERS[form](ELF) + b"something else")
    assert source.read(0, 1 << 20) == ELF
    assert [(p.severity, p.got) for p in source.problems()] == [("warning", "73 6f 6d 65 74 68 69 6e")]


@pytest.mark.parametrize("form", PACKERS)
def test_zeros_behind_the_end_are_fill(form: str) -> None:
    source = inside(PACKERS[form](ELF) + bytes(1024))
    assert (source.read(0, 1 << 20), list(source.problems())) == (ELF, [])


@pytest.mark.parametrize("form", PACKERS)
def test_nothing_inside_is_refused(form: str) -> None:
    with pytest.raises(OpenError, match=f"cannot be unpacked from its beginning.*{form} -dc"):
        inside(PACKERS[form](b""))


@given(st.data())
def test_flipped_bytes_raise_nothing_of_their_own(data: st.DataObject) -> None:
    packed_ = bytearray(SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))](KDUMP))
    for _ in range(data.draw(st.integers(1, 4))):
        packed_[data.draw(st.integers(0, len(packed_) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        opened = open_file(bytes(packed_))
    except OpenError:
        return
    assert opened.core is not None
    opened.check()
    for table in (opened.core.segments_table(), opened.core.notes_table(), opened.problems().table()):
        assert len(table.records()) == len(table)


# -- what is not practical --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", PACKERS)
def test_a_large_file_is_refused_with_the_command_that_unpacks_it(
    file: File, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(packed, "MOST_PACKED", dict.fromkeys(PACKERS, 100))
    monkeypatch.setattr(packed, "KEPT", 0)
    plain, archive = file(PACKERS[form](ELF), "v m.gz"), file(PACKERS[form](tar(("vmcore", ELF))), "v.tar")
    with pytest.raises(OpenError, match="large") as error:
        vl.open_vmcore(plain)
    flags = " --long=31" if form == "zstd" else ""
    assert error.value.hint == f"unpack it first: {form} -dc{flags} '{plain}' > vmcore"
    with pytest.raises(OpenError, match="large") as error:
        vl.open_vmcore(archive)
    assert error.value.hint == f"unpack it first: tar -xf {archive}"


def test_pieces_that_are_read_by_themselves_have_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MOST_PACKED", dict.fromkeys(PACKERS, 100))
    assert inside(many(xz, LARGE, 90_000)).size == len(LARGE)


@pytest.mark.parametrize("form", ["gzip", "bzip2"])
def test_a_bomb_is_given_up(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(packed, "LEAST_LIMIT", 1 << 20)
    tracemalloc.start()
    with pytest.raises(OpenError, match=f"unpacks to more than is practical.*{form} -dc"):
        inside(PACKERS[form](bytes(32 << 20)))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_a_bomb_whose_size_is_recorded_is_given_up_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MOST_UNPACKED", 1 << 20)
    monkeypatch.setattr(packed, "KEPT", 1)
    with pytest.raises(OpenError, match=r"found 32\.0 MiB\. Unpack it first: xz -dc"):
        inside(xz(bytes(32 << 20)))


def test_zeros_of_a_bomb_take_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "KEPT", 1)
    kept = spill.Spill()
    for _ in range(200):
        kept.append(bytes(1 << 20))
    kept.append(b"end")
    assert (kept.size, kept.read((200 << 20) - 2, 5)) == ((200 << 20) + 3, b"\0\0end")


def test_a_disk_that_is_nearly_full_is_left_alone(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "RESERVE", 1 << 60)
    monkeypatch.setattr(spill, "_LOOK", 0)
    source = inside(xz(LARGE))
    with pytest.raises(OpenError, match=r"no room.*TMPDIR.*xz -dc"):
        source.read(len(LARGE) - 1, 1)


def test_the_temporary_file_has_no_name(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    source = inside(xz(LARGE))
    assert source.read(len(LARGE) - 5, 5) == LARGE[-5:]
    assert list(tmp_path.iterdir()) == []
    source.close()


def test_xz_that_takes_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MEMORY", 1 << 20)
    data = lzma.compress(ELF, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}])
    with pytest.raises(OpenError, match="xz -dc"):
        inside(data)


def test_zstd_with_a_long_window_is_refused_with_the_option_that_allows_it() -> None:
    pytest.importorskip("zstandard", reason="zstandard is not installed")
    frame = struct.pack("<IBB", 0xFD2FB528, 0, (31 - 10) << 3) + b"\x01\0\0"
    with pytest.raises(OpenError, match=r"too much memory.*2\.0 GiB.*zstd -dc --long=31"):
        inside(frame + bytes(40))


def test_without_zstandard_the_error_says_what_to_install_or_to_run(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(zstd(ELF))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(
        OpenError, match=r"Install it: pip install 'vmcoredd-lab\[codecs\]'; or unpack the file: zstd -dc"
    ):
        vl.open_vmcore(path)


def test_commands_are_those_that_unpack(file: File, tmp_path: Path) -> None:
    archive = file(gzip.compress(tar(("crash/vm core", ELF))), "it's.tgz")
    command = unpack_command(str(archive), ("gzip", "tar member crash/vm core"))
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "crash/vm core").read_bytes() == ELF
    packed_ = file(gzip.compress(ELF), "a b.gz")
    subprocess.run(unpack_command(str(packed_), ("gzip",)), shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "vmcore").read_bytes() == ELF


# -- tar --------------------------------------------------------------------------------------------------------------


def test_the_first_member_that_is_a_vmcore_is_taken() -> None:
    program = elf(notes(b""), e_type=2)
    archive = tar(("crash/vmlinux", program), ("crash/dmesg.txt", b"[0.0] Linux"), ("crash/a", KDUMP), ("crash/b", ELF))
    core = vl.open_vmcore(archive)
    assert (core.format, core.container.source.layers) == ("kdump-compressed", ("tar member crash/a",))


def test_an_archive_without_a_vmcore_lists_what_it_holds() -> None:
    members = [(f"crash/{n}.txt", b"text") for n in range(12)]
    with pytest.raises(OpenError, match=r"found 12 files: crash/0.txt, .* and 4 more.*tar -xf") as error:
        vl.open_vmcore(gzip.compress(tar(*members)))
    assert error.value.exit_status == 3


def test_a_member_that_cannot_be_unpacked_is_told() -> None:
    with pytest.raises(OpenError, match=r"Of its members vmcore\.gz cannot be read: this gzip file cannot be unpacked"):
        vl.open_vmcore(tar(("vmcore.gz", b"\x1f\x8b\x08" + bytes(50))))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["vmcore", "a/" * 60 + "vmcore", "crash/vmcöre"])
def test_names_of_every_length_are_known(form: int, name: str) -> None:
    source = inside(tar((name, ELF), form=form))
    assert source.layers[-1].startswith("tar member ")
    assert source.layers[-1].endswith("core" if name.isascii() else "re")
    assert len(source.layers[-1]) >= len("tar member ") + len(name)


@pytest.mark.parametrize("options", ["--format=gnu", "--format=pax", "--format=pax --sparse-version=0.1"])
def test_sparse_members_have_their_holes(tmp_path: Path, options: str) -> None:
    plain = ELF[:1000].ljust(300_000, b"\0") + b"middle".ljust(500_000, b"\0") + b"end" * 2000
    path = tmp_path / "vmcore"
    with path.open("wb") as file:
        for at in (0, 300_000, 800_000):
            file.seek(at)
            file.write(plain[at : at + 6000].rstrip(b"\0"))
    command = ["tar", "-S", *options.split(), "-cf", tmp_path / "v.tar", "-C", tmp_path, "vmcore"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no GNU tar here")
    source = inside(tmp_path / "v.tar")
    assert source.read(0, source.size) == plain


def test_a_cut_archive_has_the_beginning_of_its_member(lab: Any, file: File) -> None:
    archive = tar(("vmcore", ELF))
    path = file(archive[: 512 + 1250])
    assert inside(path).read(0, 1 << 20) == ELF[:1250]
    answer = lab("problems", path, "--format", "json")
    assert (answer.status, "tar archive" in answer.column("where")) == (1, True)


def test_a_damaged_header_ends_the_archive() -> None:
    archive = bytearray(tar(("first", b"text"), ("vmcore", ELF)))
    archive[1024 + 5] ^= 1
    with pytest.raises(OpenError, match="found 1 file: first"):
        vl.open_vmcore(bytes(archive))


def with_size(field: bytes) -> bytes:
    """An archive whose first member has this size field, and a checksum that agrees."""
    archive = bytearray(tar(("first", b"text"), ("vmcore", ELF)))
    archive[124:136] = field
    archive[148:156] = b" " * 8
    archive[148:156] = b"%06o\0 " % sum(archive[:512])
    return bytes(archive)


@pytest.mark.parametrize("field", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"7" * 12, b"zzzzzzzzzzzz"])
def test_sizes_that_cannot_be_end_the_archive(field: bytes) -> None:
    with pytest.raises(OpenError, match="no member of the tar archive"):
        vl.open_vmcore(with_size(field))


def test_a_hostile_member_name_reaches_the_terminal_escaped() -> None:
    assert inside(tar(("\x1b[2Jvmcore", ELF))).layers == (r"tar member \x1b[2Jvmcore",)


@given(st.integers(0, 1535), st.integers(0, 255))
def test_any_byte_of_an_archive_may_be_anything(at: int, value: int) -> None:
    archive = bytearray(tar(("a" * 150, b"text"), ("vmcore", ELF)))
    archive[at] = value
    head = at // 512 * 512
    archive[head + 148 : head + 156] = b" " * 8
    archive[head + 148 : head + 156] = b"%06o\0 " % sum(archive[head : head + 512])
    with suppress(OpenError):
        vl.open_vmcore(bytes(archive))


# -- progress and real files ------------------------------------------------------------------------------------------


def test_unpacking_tells_how_far_it_is(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from vmcoredd_lab import progress

    told: list[tuple[str, int, list[int]]] = []

    @contextmanager
    def shown(text: str, total: int) -> Any:
        told.append((text, total, []))
        yield told[-1][2].append

    monkeypatch.setattr(progress, "_shower", [shown])
    data = gzip.compress(LARGE)
    inside(data)
    text, total, steps = told[0]
    assert (text, total) == ("unpacking <bytes>", len(data))
    assert len(steps) > 3
    assert sum(steps) == total


@pytest.mark.parametrize(
    "name", ["x86_64-mini/vmcore.d31.elf.xz", "x86_64-mini/vmcore.d31-elf.flat.xz", "i386/vmcore.elf.xz"]
)
def test_packed_vmcores_of_real_kernels_are_read_as_they_are(
    shared_data: Path, unpacked: Callable[[str], Path], name: str
) -> None:
    core, straight = vl.open_vmcore(shared_data / "vmcore" / name), vl.open_vmcore(unpacked(f"vmcore/{name}"))
    assert core.notes_table().records() == straight.notes_table().records()
    assert [bytes(d.data) for d in core.device_dumps] == [bytes(d.data) for d in straight.device_dumps]
    for row in straight.segments_table().records()[1:]:
        if row["filesz"]:
            at = row["paddr"] + row["filesz"] // 2
            assert core.memory.read(at, 64) == straight.memory.read(at, 64)


def test_what_command_line_tools_pack_is_read(sample: Path, tmp_path: Path) -> None:
    commands = {
        "gz": "gzip -c {0}", "xz": "xz -1 -T2 --block-size=500KiB -c {0}", "zst": "zstd -q -c {0}", "bz2": "bzip2 -c {0}",
        "piped.zst": "zstd -q -c < {0}", "tar.gz": "tar -C {1} -czf - {2}", "tar.xz": "tar -C {1} -cJf - {2}",
    }  # fmt: skip
    straight = vl.open_vmcore(sample)
    for suffix, command in commands.items():
        if suffix.endswith("zst") and "zstd" not in PACKERS:
            continue
        path = tmp_path / f"vmcore.{suffix}"
        with path.open("wb") as out:
            text = command.format(sample, sample.parent, sample.name)
            if subprocess.run(text, shell=True, stdout=out, stderr=subprocess.DEVNULL, check=False).returncode:
                continue  # no such program here
        core = vl.open_vmcore(path)
        assert core.notes_table().records() == straight.notes_table().records(), suffix
        assert [bytes(d.data) for d in core.device_dumps] == [bytes(d.data) for d in straight.device_dumps], suffix
        assert not core.known_problems().damaged, suffix
