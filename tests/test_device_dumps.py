"""NT_VMCOREDD: which notes are device dumps, what they are called, and that their bytes are read when asked for."""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from builders import NT_VMCOREDD, ORDERS, WIDTHS, CountingSource, device_dump, elf, note, notes, prstatus, vmcoreinfo
from conftest import Answer

import vmcoredd_lab as vl
from vmcoredd_lab.devices import registry
from vmcoredd_lab.devices.dump import DEVICE_DUMPS
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.notes.vmcoredd import split_name

HOSTILE = {
    "path": (b"../../etc/x", "../../etc/x"),
    "absolute": (b"/etc/passwd", "/etc/passwd"),
    "escape sequence": (b"\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
    "newline": (b"one\nkernel: all is well", r"one\x0akernel: all is well"),
    "not ASCII": ("gerät".encode(), r"ger\xc3\xa4t"),
    "empty": (b"", ""),
    "option": (b"-rf", "-rf"),
}


def opened(*parts: bytes, **header: Any) -> vl.Vmcore:
    return vl.open_vmcore(elf(notes(b"".join(parts)), **header))


def problems(core: vl.Vmcore) -> list[dict[str, Any]]:
    return core.problems_table().records()


# -- which notes are device dumps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", WIDTHS)
def test_a_device_dump_is_what_follows_the_name(bits: int, order: str) -> None:
    data = device_dump("one_0000:02:00.4", b"bytes of the device", order=order)
    whole = elf(notes(data + vmcoreinfo(order=order)), bits=bits, order=order)
    core = vl.open_vmcore(whole)
    (dump,) = core.device_dumps
    assert (dump.name, dump.driver, dump.device) == ("one_0000:02:00.4", "one", "0000:02:00.4")
    assert (dump.offset, dump.size) == (whole.index(b"bytes of the device"), 19)
    assert bytes(dump.data) == b"bytes of the device"


def test_the_table_of_dumps_has_a_row_for_each_in_file_order() -> None:
    core = opened(device_dump("one_0000:02:00.4", b"first"), device_dump("plain", b"second!"))
    frame = core.device_dumps.frame
    assert list(frame.columns) == DEVICE_DUMPS.names
    assert list(frame["name"]) == ["one_0000:02:00.4", "plain"]
    assert list(frame["size"]) == [5, 7]
    assert frame["driver"].isna().tolist() == [False, True]
    assert frame["payload_size"].isna().all()


def test_the_kernels_fill_to_whole_pages_belongs_to_the_size() -> None:
    core = opened(device_dump("one", b"x" * 100, page=4096), device_dump("two", b"y" * (4096 - 64), page=4096))
    assert [dump.size for dump in core.device_dumps] == [4096 - 64, 4096 - 64]
    assert bytes(core.device_dumps[0].data) == b"x" * 100 + bytes(4096 - 64 - 100)


def test_the_owner_alone_makes_no_device_dump() -> None:
    core = opened(note(b"LINUX\0", 0x301, b"timer"), note(b"LINUX\0", 0x30A, b"vector registers"), prstatus(1))
    assert len(core.device_dumps) == 0
    assert problems(core) == []


@pytest.mark.parametrize("owner", [b"CHELSIO\0", b"VMCOREDD\0", b"CORE\0", b"linux\0", b""])
def test_type_0x700_of_another_owner_is_a_plain_note_and_named_in_problems(owner: bytes) -> None:
    core = opened(note(owner, NT_VMCOREDD, b"cxgb4_0000:02:00.4".ljust(44, b"\0") + b"data"), vmcoreinfo())
    assert len(core.device_dumps) == 0
    assert core.notes_table().values("type") == [0x700, 0]
    assert core.notes_table().values("type_name")[0] is None
    (problem,) = problems(core)
    assert problem["severity"] == "warning"
    assert "looks like" in problem["message"]
    assert "cxgb4_0000:02:00.4" in problem["message"]


@pytest.mark.parametrize("owner", [b"LINUX\0\0\0", b"LINUX\0", b"LINUX"])
def test_the_nuls_of_the_owner_do_not_matter(owner: bytes) -> None:
    assert [d.name for d in opened(device_dump("one", b"data", owner=owner)).device_dumps] == ["one"]


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cxgb4_0000:02:00.4", ("cxgb4", "0000:02:00.4")),
        ("nic_two_10000:ff:1f.7", ("nic_two", "10000:ff:1f.7")),
        ("cxgb4_0000:02:20.4", (None, None)),  # a bus has 32 devices
        ("cxgb4_0000:02:00.8", (None, None)),  # and they have 8 functions
        ("0000:02:00.4", (None, None)),
        ("cxgb4_0000:02:00.4 ", (None, None)),
        ("one_byte", (None, None)),
        ("", (None, None)),
    ],
)
def test_a_name_of_driver_and_pci_address_is_taken_apart(name: str, parts: tuple[str | None, str | None]) -> None:
    assert split_name(name) == parts


def test_a_name_may_fill_its_44_bytes_without_nul() -> None:
    name = "n" * 44
    (dump,) = opened(device_dump(name, b"data")).device_dumps
    assert (dump.name, bytes(dump.data)) == (name, b"data")


def test_a_name_ends_at_its_first_nul() -> None:
    (dump,) = opened(device_dump(b"name\0stale bytes", b"data")).device_dumps
    assert dump.name == "name"


@pytest.mark.parametrize(("raw", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_shown_escaped(raw: bytes, shown: str) -> None:
    core = opened(device_dump(raw, b"data"))
    assert core.device_dumps[0].name == shown
    assert core.device_dumps[shown].offset == core.device_dumps[0].offset
    assert core.device_dumps.table().values("name") == [shown]
    assert core.notes_table().values("summary")[0].startswith(f"device dump {shown}")


# -- access -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hundred() -> vl.Vmcore:
    """A vmcore with more device dumps than the 64 at which crash stops."""
    return opened(*(device_dump(f"nic_0000:{i:02x}:00.4", b"%d" % i) for i in range(100)))


def test_there_may_be_any_number_of_dumps(hundred: vl.Vmcore) -> None:
    assert len(hundred.device_dumps) == len(hundred.device_dumps.frame) == 100
    assert [bytes(dump.data) for dump in hundred.device_dumps] == [b"%d" % i for i in range(100)]


def test_dumps_are_found_by_index_name_and_pci_address(hundred: vl.Vmcore) -> None:
    dumps = hundred.device_dumps
    assert dumps[99] is dumps[-1] is dumps["nic_0000:63:00.4"] is dumps["0000:63:00.4"]
    assert [d.name for d in dumps[2:4]] == ["nic_0000:02:00.4", "nic_0000:03:00.4"]


@pytest.mark.parametrize("key", [100, -101, "nic_0000:64:00.4", "", "nic"])
def test_a_dump_that_is_not_there_is_a_clear_error(hundred: vl.Vmcore, key: int | str) -> None:
    with pytest.raises(NotInFileError, match="no device dump") as error:
        hundred.device_dumps[key]
    assert "100 device dumps" in str(error.value)


def test_a_name_nearly_right_gets_a_hint() -> None:
    with pytest.raises(NotInFileError, match=r"Did you mean cxgb4_0000:02:00.4\?"):
        opened(device_dump("cxgb4_0000:02:00.4", b"x")).device_dumps["cxgb4_0000:02:00.5"]


def test_a_vmcore_without_dumps_says_what_they_need() -> None:
    with pytest.raises(NotInFileError, match="CONFIG_PROC_VMCORE_DEVICE_DUMP"):
        opened(prstatus(1)).device_dumps[0]


def test_a_dump_that_nobody_decodes_says_so() -> None:
    (dump,) = opened(device_dump("one_0000:02:00.4", b"what is this")).device_dumps
    assert (dump.decoder, dump.payload_size) == (None, None)
    with pytest.raises(NotInFileError, match="no decoder"):
        dump.decode()


def test_a_dump_whose_name_promises_another_content_is_a_warning() -> None:
    core = opened(device_dump("cxgb4_0000:02:00.4", b"not what cxgb4 writes" * 9))
    (problem,) = problems(core)
    assert (problem["severity"], problem["where"]) == ("warning", "dump:cxgb4_0000:02:00.4")


# -- decoders of others -----------------------------------------------------------------------------------------------


def test_a_decoder_is_found_by_its_entry_point(toy: type) -> None:
    (dump,) = opened(device_dump("any name", b"TOY\x06..", page=4096)).device_dumps
    assert isinstance(dump.decode(), toy)
    assert (dump.payload_size, dump.size) == (6, 4096 - 64)
    assert dump.row()[-1] == "a toy"


def test_the_problems_of_a_decoder_are_those_of_the_vmcore(toy: type) -> None:
    core = opened(device_dump("any name", b"TOY\0"))
    assert [row["message"] for row in problems(core)] == ["the length cannot be believed"]
    core.check()
    assert [row["severity"] for row in problems(core)] == ["error", "warning"]


def test_a_bare_dump_of_another_driver_is_opened(
    toy: type, lab: Callable[..., Answer], file: Callable[..., Path]
) -> None:
    path = file(b"TOY\x06..", "bare")
    assert vl.open_device_dump(path).driver == "toy"
    assert lab("info", path).status == 0
    assert lab("dumps", path, "--format", "json").column("payload_size") == [6]


def test_a_decoder_that_cannot_be_loaded_breaks_no_vmcore(toy: type, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = metadata.EntryPoint("broken", "no_such_package:Decoder", registry.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [broken])
    (dump,) = opened(device_dump("any name", b"data")).device_dumps
    with pytest.warns(RuntimeWarning, match="broken"):
        assert dump.decoder is None


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 20, 43])
def test_a_note_too_short_for_a_name_is_a_problem(size: int) -> None:
    core = opened(note(b"LINUX\0\0\0", NT_VMCOREDD, b"short-name"[:size].ljust(size, b"\0")), vmcoreinfo())
    (dump,) = core.device_dumps
    assert (dump.name, dump.size, bytes(dump.data)) == ("short-name"[:size], 0, b"")
    (problem,) = problems(core)
    assert (problem["severity"], problem["got"]) == ("error", str(size))
    assert problem["offset"] == core.container.notes[0].header_offset + 4
    assert core.vmcoreinfo


def test_a_dump_may_be_empty() -> None:
    (dump,) = opened(device_dump("one", b"")).device_dumps
    assert (dump.name, dump.size, bytes(dump.data)) == ("one", 0, b"")


@pytest.mark.parametrize("left", [0, 20, 43, 44, 60])
def test_of_a_dump_that_is_cut_the_beginning_is_used(left: int) -> None:
    whole = elf(notes(device_dump("one_0000:02:00.4", b"0123456789" * 10)))
    start = whole.index(b"one_0000")
    core = vl.open_vmcore(whole[: start + left])
    (dump,) = core.device_dumps
    assert dump.name == "one_0000:02:00.4"[:left]
    assert dump.size == 100
    assert bytes(dump.data) == (b"0123456789" * 10)[: max(0, left - 44)]
    assert any(p["where"] == f"dump:{dump.name}" and p["severity"] == "error" for p in problems(core))


# -- nothing is read before it is asked for ---------------------------------------------------------------------------


def test_the_bytes_of_a_dump_are_read_when_they_are_asked_for() -> None:
    size = 32 << 20
    head = b"".join(
        (
            note(b"LINUX\0\0\0", NT_VMCOREDD, struct.pack("44s", b"big_0000:02:00.4"), descsz=44 + size),
            b"first bytes of the device",
        )
    )
    source = CountingSource(elf(notes(head, filesz=64 + size)), 1 << 30)
    (dump,) = vl.open_vmcore(source).device_dumps
    before = source.count
    assert len(dump.data) == size
    assert source.count == before
    assert dump.data[:11] == b"first bytes"
    assert source.count == before + 11
    assert dump.data[size - 1] == 0
    assert source.count == before + 12


def test_a_large_dump_is_never_in_memory_whole() -> None:
    size = 32 << 20
    head = note(b"LINUX\0\0\0", NT_VMCOREDD, struct.pack("44s", b"big"), descsz=44 + size)
    source = CountingSource(elf(notes(head, filesz=64 + size)), 1 << 30)
    (dump,) = vl.open_vmcore(source).device_dumps
    assert sum(len(piece) for piece in dump.data.chunks()) == size
    assert source.largest <= 1 << 20
