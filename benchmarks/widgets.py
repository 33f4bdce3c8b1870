#!/usr/bin/env python3
"""The hex view on a vmcore of 1 TiB with 100,000 segments, in a real JupyterLab, beside an empty anywidget on the same page.

usage: widgets.py [--jumps N]

Prints, each beside its bound:
- time until shown, over an empty anywidget's;
- jumps to places across the file that hold bytes known here, 95th percentile, over that of an empty widget's message round trip,
  and whether each painted those bytes;
- bytes over the wire for a screen; memory of kernel and page after N jumps (default 10,000);
- frames of a timeline of 100,000 events;
- without a page: the speed of find over that of bytes.find in the same mapping, and the longest time that the kernel's loop was
  kept waiting;
- the load of the machine before and after: page, server, kernel and browser share its CPUs with whatever else runs.
Needs jupyterlab, playwright and chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import mmap
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sparse import write_vmcore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "browser"))
from notebook_page import Notebook, opened

from vmcoredd_lab.widgets.search import search
from vmcoredd_lab.widgets.space_set import space_set

TIB, SEGMENTS = 1 << 40, 100_000
DENSE = 1 << 30  # bytes of the file that find goes through
EMPTY = """
import anywidget, traitlets
class Empty(anywidget.AnyWidget):
    _esm = '''export default {render({model, el}) {
      const node = document.createElement("b"); node.className = "empty-widget"; node.textContent = "empty"; el.append(node);
      window.trip = () => new Promise((done) => {
        const begun = performance.now();
        const heard = () => { model.off("msg:custom", heard); done(performance.now() - begun); };
        model.on("msg:custom", heard);
        model.send({ask: 1});
      });
    }}'''
    def __init__(self, **options):
        super().__init__(**options)
        self.on_msg(lambda widget, message, buffers: widget.send({"answer": 1}, [bytes(640)]))
"""
SHOWN = """async ([code, selector]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.widgets[0].model.sharedModel.setSource(code);
  for (const old of document.querySelectorAll(selector)) old.classList.add("old");
  const begun = performance.now();
  window.jupyterapp.commands.execute("notebook:run-cell");
  for (;;) {
    await new Promise(requestAnimationFrame);
    if (document.querySelector(selector + ":not(.old)")) return performance.now() - begun;
  }
}"""
JUMPS = """async (places) => {
  const root = [...document.querySelectorAll(".vl-hex")].pop(), field = root.querySelector(".vl-go");
  const took = [];
  for (const [place, bytes] of places) {
    const begun = performance.now();
    field.value = "0x" + place;
    field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
    const wanted = place.padStart(11, "0"); // the end of the file has 11 digits
    for (;;) {
      await new Promise((done) => setTimeout(done, 0));
      const here = root.querySelector(".vl-cur");
      const line = here && here.closest(".vl-line");
      if (line && line.querySelector(".vl-at").textContent === wanted && root.dataset.ready === "true") {
        const painted = line.querySelector(".vl-cells").textContent.replace(/ /g, "");
        if (painted !== bytes) throw new Error(`wrong bytes at ${place}: ${painted}, not ${bytes}`);
        break;
      }
      if (performance.now() - begun > 20000) {
        throw new Error(`never came: ${place}; top ${root.dataset.top}, says ${root.querySelector(".vl-status").textContent}`);
      }
    }
    took.push(performance.now() - begun);
  }
  return took;
}"""
FRAMES = """async () => {
  const canvas = [...document.querySelectorAll(".vl-canvas")].pop(), box = canvas.getBoundingClientRect();
  canvas.focus();
  const frames = [];
  let before = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 120; i += 1) {
    const at = {clientX: box.left + 300 + i * 4, clientY: box.top + 30, bubbles: true, cancelable: true};
    if (i % 3 === 0) canvas.dispatchEvent(new WheelEvent("wheel", {...at, deltaY: i < 60 ? -60 : 60}));
    else if (i % 3 === 1) canvas.dispatchEvent(new WheelEvent("wheel", {...at, deltaY: 40, shiftKey: true}));
    else canvas.dispatchEvent(new MouseEvent("mousemove", at));
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    before = now;
  }
  return frames;
}"""
IDLE = """async () => {
  const frames = [];
  let before = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 120; i += 1) {
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    before = now;
  }
  return frames;
}"""
MANY_EVENTS = """
import numpy as np
from vmcoredd_lab.tables import Table
from vmcoredd_lab.widgets.timeline import _Events
w = vl.timeline_view(vl.open_vmcore({sample!r}))
w._made = _Events(w.table.take(np.resize(np.arange(len(w.table)), 100_000)))
w
"""
MEMORY = """import gc; gc.collect()
print(next(int(line.split()[1]) << 10 for line in open('/proc/self/status') if line.startswith('VmRSS')))"""
BYTES = """
import json
sent = []
view._requests._send = lambda message, buffers: sent.append(len(json.dumps(message)) + sum(map(len, buffers)))
view._requests.received({"id": "x", "op": "lines", "space": "file", "at": "0", "count": view.rows + 24, "collapse": False})
view._requests._send = view.send
print(sent[0])
"""


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def tell(what: str, value: float, bound: float, detail: str, *, least: bool = False) -> None:
    """Print a measure beside its bound."""
    within = value >= bound if least else value <= bound
    print(
        f"{what}: {value:,.4g} ({'at least' if least else 'at most'} {bound:,g}: {'within' if within else 'OVER'}); {detail}",
        flush=True,
    )


def shown(notebook: Notebook, rounds: int = 15) -> None:
    empty, ours = [], []
    for turn in range(rounds + 1):
        notebook.page.wait_for_timeout(400)  # what the one before still does is not the next one's time
        first = notebook.page.evaluate(SHOWN, ["Empty()", ".empty-widget"])
        notebook.page.wait_for_timeout(400)
        second = notebook.page.evaluate(SHOWN, ["view = vl.hexview(core); view", ".vl-hex[data-ready=true]"])
        if turn:  # the first loads the modules
            empty.append(first)
            ours.append(second)
    a, b = statistics.median(empty), statistics.median(ours)
    tell("shown, over an empty anywidget", b / a, 1.5, f"hex view {b:.0f} ms, empty {a:.0f} ms, medians of {rounds}")


def plant(path: Path, count: int) -> list[list[str]]:
    """Write rows of random bytes across the memory in the file; return their places and bytes."""
    random.seed(8)
    size = path.stat().st_size
    places = []
    with path.open("r+b") as file:
        for _ in range(count):
            at, row = random.randrange((16 << 20) // 16, size // 16) * 16, random.randbytes(16)
            file.seek(at)
            file.write(row)
            places.append([f"{at:x}", row.hex()])
    return places


def jumps(notebook: Notebook, path: Path, count: int) -> None:
    places = plant(path, 200)
    notebook.page.evaluate(SHOWN, ["Empty()", ".empty-widget"])
    notebook.page.wait_for_timeout(1000)
    trips = [notebook.page.evaluate("window.trip()") for _ in range(200)]
    notebook.page.evaluate(SHOWN, ["view = vl.hexview(core); view", ".vl-hex[data-ready=true]"])
    notebook.page.wait_for_timeout(1000)
    took = notebook.page.evaluate(JUMPS, places)
    a, b = percentile(trips, 0.95), percentile(took, 0.95)
    tell("jump, 95th percentile over that of a round trip", b / a, 3, f"{b:.0f} ms, round trip {a:.0f} ms; medians "
         f"{statistics.median(took):.0f} and {statistics.median(trips):.0f} ms; 200 jumps painted the file's bytes")  # fmt: skip
    page = notebook.page.context.new_cdp_session(notebook.page)

    def used() -> tuple[int, int]:
        page.send("HeapProfiler.collectGarbage")
        heap = int(page.send("Runtime.getHeapUsage")["usedSize"])
        return int(notebook.ask(MEMORY)), heap

    warm = min(1000, count // 5)
    notebook.page.evaluate(JUMPS, random.choices(places, k=warm))
    before = used()
    for _ in range((count - warm) // 100):
        holes = [[f"{random.randrange(TIB // 1024) * 1024 + (1 << 25):x}", None] for _ in range(80)]
        notebook.page.evaluate(
            JUMPS.replace("painted !== bytes", "bytes && painted !== bytes"), holes + random.choices(places, k=20)
        )
    after = used()
    for name, x, y in zip(("kernel", "page"), before, after, strict=True):
        tell(
            f"memory of the {name}, growth in MB",
            (y - x) / 1e6,
            10,
            f"{x / 1e6:.1f} MB after {warm:,} jumps, {y / 1e6:.1f} MB after {count:,}",
        )


def frames(notebook: Notebook) -> None:
    sample = str(Path(__file__).resolve().parent.parent / "sample_data" / "vmcore.kdump")
    notebook.page.evaluate(SHOWN, [MANY_EVENTS.format(sample=sample), ".vl-timeline[data-ready=true]"])
    notebook.page.wait_for_timeout(2000)
    idle, busy = notebook.page.evaluate(IDLE), notebook.page.evaluate(FRAMES)
    a, b = percentile(idle, 0.95), percentile(busy, 0.95)
    print(f"frames of a timeline of 100,000 events, zoomed, panned and hovered: median {statistics.median(busy):.0f} ms, "
          f"95th percentile {b:.0f} ms; of the same page at rest {statistics.median(idle):.0f} and {a:.0f} ms")  # fmt: skip


def find() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dense"
        write_vmcore(path, segments=1, segment_size=DENSE)
        block = random.Random(8).randbytes(1 << 20)
        with path.open("r+b") as out:
            out.seek(-DENSE, 2)
            for _ in range(DENSE >> 20):
                out.write(block)
        space = space_set(path).get("file")
        needle = b"there is no such word"
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
            mapping.find(needle)
            plain, ours, waits = [], [], []
            for _ in range(3):
                begun = time.perf_counter()
                mapping.find(needle)
                plain.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                waits.append(asyncio.run(_search_beside_a_clock(space, needle)))
                ours.append(time.perf_counter() - begun)
        a, b = min(plain), min(ours)
        tell(
            "find, over bytes.find",
            a / b,
            0.5,
            f"{DENSE / b / 1e9:.2f} and {DENSE / a / 1e9:.2f} GB/s, slices of {space.slice >> 20} MiB",
            least=True,
        )
        tell("the kernel's loop waited, ms", min(waits) * 1e3, 50, "the longest wait of the best of three")


async def _search_beside_a_clock(space: object, needle: bytes) -> float:
    longest = 0.0
    done = False

    async def clock() -> None:
        nonlocal longest
        while not done:
            begun = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - begun)

    ticking = asyncio.create_task(clock())
    async for _ in search(space, needle, 0):  # type: ignore[arg-type]
        pass
    done = True
    await ticking
    return longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jumps", type=int, default=10_000)
    args = parser.parse_args()
    before = f"{os.getloadavg()[0]:.1f}"
    find()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        size = -(-TIB // SEGMENTS // 4096) * 4096 + 4096
        write_vmcore(root / "vmcore", segments=SEGMENTS, segment_size=size, dumps=2, dump_size=1 << 20)
        with opened(root, root / "pictures") as notebook:
            notebook.run(f"import vmcoredd_lab as vl\ncore = vl.open_vmcore({str(root / 'vmcore')!r})\n{EMPTY}")
            shown(notebook)
            screen = notebook.run("view = vl.hexview(core)" + BYTES).split()[-1]
            tell("bytes over the wire for a screen", int(screen), 65_535, "48 rows without collapsing")
            jumps(notebook, root / "vmcore", args.jumps)
            frames(notebook)
    print(f"load of the machine: {before} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
