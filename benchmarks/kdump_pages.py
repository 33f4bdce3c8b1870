"""All pages of a large kdump-compressed file in order, against drgn (libkdumpfile) in the same run.

The file has the headers and notes of the sample and invented memory: pages that compress to about a third, a tenth of them
zero. Both read it in pieces of 1 MiB; each is asked in turn, and the best of its runs counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import vmcoredd_lab as vl
from vmcoredd_lab.containers.kdump_structs import DISK_DUMP_HEADER, KDUMP_SUB_HEADER, PAGE_DESC

SAMPLE = Path(__file__).parent.parent / "sample_data" / "vmcore.kdump"
PAGE = 4096
PIECE = 1 << 20
POOL = 4096  # different pages; each is stored again and again, at a place of its own
TARGET = 0.9


def compressors() -> dict[str, tuple[int, Callable[[bytes], bytes]]]:
    """Return flags and a compressing function for each codec that is installed."""
    import zlib

    found: dict[str, tuple[int, Callable[[bytes], bytes]]] = {"zlib": (1, lambda page: zlib.compress(page, 1))}
    if importlib.util.find_spec("lzallright"):
        import lzallright

        found["lzo"] = 2, lzallright.LZOCompressor().compress
    if importlib.util.find_spec("cramjam"):
        import cramjam

        found["snappy"] = 4, lambda page: bytes(cramjam.snappy.compress_raw(page))
    if importlib.util.find_spec("zstandard"):
        import zstandard

        found["zstd"] = 0x20, zstandard.ZstdCompressor(level=1).compress
    found["none"] = 0, lambda page: page
    return found


def invented_pages(count: int) -> list[bytes]:
    """Return pages somewhat like a kernel's: repeated structures, noise, runs of zeros."""
    random = np.random.default_rng(1)
    lines = random.integers(0, 256, (count, 64, 64), np.uint8)
    chosen = random.integers(0, 16, (count, 64))
    pages = np.take_along_axis(lines, chosen[:, :, np.newaxis], axis=1)
    pages[random.random((count, 64)) < 0.25] = 0
    noisy = random.random((count, 64)) < 0.15
    pages[noisy] = lines[noisy]
    return [page.tobytes() for page in pages.reshape(count, PAGE)]


def write(path: Path, frames: int, flags: int, compress: Callable[[bytes], bytes]) -> None:
    """Write the file as makedumpfile lays it out: headers, notes, bitmaps, descriptors, the page of zeros, pages."""
    sample = vl.open_vmcore(SAMPLE)
    container = sample.container
    at, size = container.sub_header["offset_note"], container.sub_header["size_note"]
    notes = container.source.read(at, size)
    blocks = -(-(KDUMP_SUB_HEADER.size() + size) // PAGE)
    bitmap = -(-frames // (8 * PAGE))
    head = {name: container.header[name] for name in container.header.dtype.names}
    head |= {"status": flags, "sub_hdr_size": blocks, "bitmap_blocks": 2 * bitmap, "max_mapnr": frames}
    sub = dict(container.sub_header) | {"dump_level": 0, "max_mapnr_64": frames}
    table = PAGE * (1 + blocks + 2 * bitmap)
    pool = [compress(page) for page in invented_pages(POOL)]
    lengths = np.array([min(len(page), PAGE) for page in pool], np.uint64)
    random = np.random.default_rng(2)
    which = random.integers(0, POOL, frames)
    zero = random.random(frames) < 0.1
    sizes = np.where(zero, 0, lengths[which]).astype(np.uint64)
    data = table + frames * PAGE_DESC.size()
    descs = np.zeros(frames, PAGE_DESC.dtype())
    descs["offset"] = np.where(zero, data, data + PAGE + np.cumsum(sizes) - sizes)
    descs["size"] = np.where(zero, PAGE, sizes)
    descs["flags"] = np.where(zero, 0, flags)
    bits = np.packbits(np.ones(frames, np.uint8), bitorder="little").tobytes().ljust(bitmap * PAGE, b"\0")
    with path.open("wb") as out:
        out.write(DISK_DUMP_HEADER.write(**head).ljust(PAGE, b"\0"))
        out.write((KDUMP_SUB_HEADER.write(**sub) + notes).ljust(blocks * PAGE, b"\0"))
        out.write(bits * 2)
        out.write(descs.tobytes())
        out.write(bytes(PAGE))
        for first in range(0, frames, 8192):
            chosen = which[first : first + 8192][~zero[first : first + 8192]]
            out.write(b"".join([pool[i] for i in chosen.tolist()]))


def ours(path: Path, threads: int | None) -> int:
    with vl.open_vmcore(path) as core:
        return sum(len(data) for _, data in core.memory.chunks(PIECE, threads))


def ours_by_page(path: Path) -> int:
    with vl.open_vmcore(path) as core:
        size, read = core.container.memory_size()[1], core.memory.read
        return sum(len(read(address, PAGE)) for address in range(0, size, PAGE))


def drgns(path: Path, size: int, piece: int) -> int:
    import drgn

    program = drgn.Program()
    program.set_core_dump(path)
    return sum(len(program.read(at, piece, True)) for at in range(0, size, piece))


def seconds(run: Callable[[], int], size: int) -> float:
    start = time.perf_counter()
    assert run() == size
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of memory")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--codec", action="append", choices=[*compressors()])
    parser.add_argument("--directory", type=Path, default=None)
    asked = parser.parse_args()
    size = asked.size << 20
    peer = importlib.util.find_spec("drgn") is not None
    if not peer:
        print("drgn is not installed: nothing to compare with")
    with tempfile.TemporaryDirectory(dir=asked.directory) as directory:
        path = Path(directory) / "vmcore.kdump"
        for codec in asked.codec or compressors():
            write(path, size // PAGE, *compressors()[codec])
            ways: dict[str, Callable[[], int]] = {
                "chunks, one thread": lambda: ours(path, 1),
                "chunks, default threads": lambda: ours(path, None),
                "read(), page by page": lambda: ours_by_page(path),
            }
            if peer:
                ways["drgn"] = lambda: drgns(path, size, PIECE)
                ways["drgn, page by page"] = lambda: drgns(path, size, PAGE)
            best = dict.fromkeys(ways, float("inf"))
            for _ in range(asked.runs):
                for way, run in ways.items():
                    best[way] = min(best[way], seconds(run, size))
            print(f"{codec}: {asked.size} MiB of memory, {path.stat().st_size >> 20} MiB of file")
            for way, took in best.items():
                against = best.get("drgn, page by page" if "page by page" in way else "drgn")
                ratio = f", {against / took:.2f} of drgn" if against and "drgn" not in way else ""
                target = f" (target {TARGET})" if way == "chunks, one thread" and ratio else ""
                print(f"  {way}: {asked.size / took:,.0f} MiB/s{ratio}{target}")


if __name__ == "__main__":
    main()
