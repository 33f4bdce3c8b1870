import assert from "node:assert/strict";
import test from "node:test";

import { Kernel, page, place } from "./page.js";
import { Bookmarks } from "../src/bookmarks.js";
import { Dragging } from "../src/dragging.js";
import { Finder } from "../src/finder.js";
import { GAP } from "../src/lines.js";
import { moved } from "../src/motion.js";
import { ScrollBar } from "../src/scrollbar.js";
import { Wire } from "../src/wire.js";

const now = { cursor: 0x123n, start: 0x100n, end: 0x1000n, rows: 24, line: undefined };
const to = (/** @type {string} */ key, control = false, of = {}) => moved(key, control, { ...now, ...of })?.cursor;

test("keys move by bytes, rows, screens and to the ends", () => {
  assert.deepEqual(["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "Home", "End"].map((k) => to(k)), [0x124n, 0x122n, 0x133n, 0x113n, 0x120n, 0x12fn]);
  assert.deepEqual([to("Home", true), to("End", true)], [0x100n, 0xfffn]);
  assert.deepEqual(moved("PageDown", false, now), { cursor: 0x123n + 16n * 23n, lines: 23 });
  assert.equal(moved("a", false, now), null);
});

test("keys end at the ends of the space, and stay in one without bytes", () => {
  assert.equal(to("ArrowUp"), 0x113n);
  assert.equal(to("PageUp"), 0x100n);
  assert.equal(to("ArrowDown", false, { cursor: 0xffan }), 0xfffn);
  assert.equal(to("ArrowRight", false, { cursor: 0n, start: 0n, end: 0n }), 0n);
});

test("a line that stands for many is passed at once, both ways", () => {
  const line = { kind: GAP, start: 0x200n, end: 0x900n, bytes: null, missing: 0, reason: "", more: false };
  assert.equal(to("ArrowDown", false, { cursor: 0x210n, line }), 0x900n);
  assert.equal(to("ArrowRight", false, { cursor: 0x210n, line }), 0x900n);
  assert.equal(to("ArrowUp", false, { cursor: 0x215n, line }), 0x1f0n);
});

test("a place that is marked again loses its bookmark, another space's keeps it", () => {
  const model = new Kernel();
  let space = "file";
  /** @type {any[]} */
  const went = [];
  const marks = new Bookmarks(model, { here: () => ({ space, at: 1n << 60n, name: "there" }), go: (...where) => went.push(where), say: () => {} });
  marks.mark();
  space = "physical";
  marks.mark();
  assert.deepEqual(model.get("bookmarks"), [["file", "1000000000000000", "there"], ["physical", "1000000000000000", "there"]]);
  marks.list.value = "1";
  marks.list.dispatchEvent(new page.window.Event("change"));
  assert.deepEqual(went, [["physical", 1n << 60n]]);
  marks.mark();
  assert.deepEqual(model.get("bookmarks"), [["file", "1000000000000000", "there"]]);
});

/** @returns {any} a finder at 0x40, its kernel, and what it says and finds */
function finder() {
  const kernel = new Kernel();
  /** @type {any[]} */
  const said = [];
  /** @type {any[]} */
  const found = [];
  const made = new Finder(new Wire(kernel), { from: () => ({ space: "file", low: 0x40n }), found: (...what) => found.push(what), say: (...what) => said.push(what) });
  made.needle.value = "needle";
  return { kernel, made, said, found };
}

test("a search begins at the cursor, again behind it, and backward before it", async () => {
  const { kernel, made, found } = finder();
  made.find(false);
  await kernel.answer(kernel.asked[0], { done: true, at: "ffffffffffffff00", size: 6 });
  made.find(false);
  made.find(true);
  const asked = kernel.asked.filter((/** @type {any} */ m) => m.op === "find");
  assert.deepEqual(asked.map((/** @type {any} */ m) => [m.at, m.backward]), [["40", false], ["41", false], ["40", true]]);
  assert.deepEqual(found, [[0xffffffffffffff00n, 6n, false]]);
});

test("how far a search is can be seen, and it can be stopped", async () => {
  const { kernel, made, said } = finder();
  made.find(true);
  await kernel.answer(kernel.asked[0], { done: false, part: 0.25 });
  assert.equal(made.progress.value, 0.25);
  assert.equal(made.cancel.hidden, false);
  made.cancel.click();
  assert.deepEqual(kernel.asked[1], { op: "cancel", which: kernel.asked[0].id });
  await kernel.answer(kernel.asked[0], { ok: false, error: "cancelled" });
  assert.deepEqual(said, [["cancelled", true]]);
  assert.equal(made.cancel.hidden, true);
});

test("a new search ends the one before, and its bar stays", async () => {
  const { kernel, made } = finder();
  made.find(false);
  made.needle.value = "other";
  made.find(false);
  assert.deepEqual(kernel.asked.map((/** @type {any} */ m) => m.op), ["find", "cancel", "find"]);
  await kernel.answer(kernel.asked[0], { ok: false, error: "cancelled" });
  assert.equal(made.cancel.hidden, false);
});

test("what is not found is said, its text inert", async () => {
  const { kernel, made, said } = finder();
  made.needle.value = "\u202eneedle";
  made.find(false);
  await kernel.answer(kernel.asked[0], { done: true });
  assert.deepEqual(said, [["\\u202eneedle: not found", true]]);
});

test("a mouse held below the lines goes on selecting, and stops within and when let go", async () => {
  const grid = page.window.document.createElement("div");
  page.window.document.body.append(grid);
  place(grid, { top: 100, bottom: 300 });
  /** @type {any[]} */
  const did = [];
  const dragging = new Dragging(grid, { under: (e) => BigInt(e.clientY), begin: (at, extend) => did.push(["begin", at, extend]), to: (at) => did.push(["to", at]), beyond: (lines) => did.push(["beyond", lines]), end: () => did.push(["end"]) });
  const mouse = (/** @type {string} */ name, /** @type {number} */ y, /** @type {any} */ on = page.window) => on.dispatchEvent(new page.window.MouseEvent(name, { clientY: y, button: 0, bubbles: true }));
  mouse("mousemove", 150);
  mouse("mousedown", 120, grid);
  mouse("mousemove", 150);
  mouse("mousemove", 345);
  await new Promise((done) => setTimeout(done, 180));
  mouse("mousemove", 200);
  const scrolled = did.length;
  await new Promise((done) => setTimeout(done, 120));
  assert.equal(did.length, scrolled);
  mouse("mouseup", 200);
  mouse("mousemove", 210);
  assert.deepEqual([...did.slice(0, 3), did[did.length - 2], did[did.length - 1]], [["begin", 120n, false], ["to", 150n], ["beyond", 3], ["to", 200n], ["end"]]);
  dragging.close();
});

test("the scroll bar tells the share of the space under the pointer", () => {
  /** @type {number[]} */
  const wanted = [];
  const bar = new ScrollBar((part) => wanted.push(part));
  place(bar.root, { top: 100, height: 400 });
  bar.root.setPointerCapture = () => {};
  const pointer = (/** @type {string} */ name, /** @type {number} */ y) => bar.root.dispatchEvent(new page.window.MouseEvent(name, { clientY: y, bubbles: true }));
  pointer("pointermove", 200);
  pointer("pointerdown", 300);
  pointer("pointermove", 400);
  pointer("pointerup", 400);
  pointer("pointermove", 500);
  assert.deepEqual(wanted, [0.5, 0.75]);
  bar.show(0.75);
  assert.equal(bar.root.getAttribute("aria-valuenow"), "75.000");
});
