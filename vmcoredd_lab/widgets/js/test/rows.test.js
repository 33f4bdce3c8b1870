import assert from "node:assert/strict";
import test from "node:test";

import { page, place } from "./page.js";
import { GAP, ROW, SAME } from "../src/lines.js";
import { Rows } from "../src/rows.js";

const look = (/** @type {any} */ of = {}) => ({ low: 0n, high: 0n, cursor: 0n, end: 1n << 40n, base: 0n, ...of });
const row = (/** @type {bigint} */ start, /** @type {number[]} */ bytes, missing = 0) => ({ kind: ROW, start, end: start + BigInt(bytes.length), bytes: Uint8Array.from({ length: 16 }, (_, i) => bytes[i] ?? 0), missing, reason: "", more: false });
const letters = Array.from({ length: 16 }, (_, i) => 0x41 + i);

/** @param {number} count */
function rows(count) {
  const grid = page.window.document.createElement("div");
  return { grid, made: new Rows(grid, count) };
}

/** @param {Element} grid @param {number} i @param {string} part */
const text = (grid, i, part) => /** @type {Element} */ (grid.children[i].querySelector(`.vl-${part}`)).textContent;

test("a row is 8 and 8 bytes and their characters", () => {
  const { grid, made } = rows(1);
  made.paint([row(0x1230n, letters)], 0x1240n, look());
  assert.equal(text(grid, 0, "at"), "0000001230");
  assert.equal(text(grid, 0, "cells"), "41 42 43 44 45 46 47 48  49 4a 4b 4c 4d 4e 4f 50");
  assert.equal(text(grid, 0, "text"), "ABCDEFGHIJKLMNOP");
});

test("bytes that the file lacks are dots, and none stand behind the end", () => {
  const { grid, made } = rows(1);
  made.paint([row(0n, [0x41, 0x42, 0x43], 0b010)], 3n, look({ end: 3n }));
  assert.equal(text(grid, 0, "cells")?.trim(), "41 ·· 43");
  assert.equal(text(grid, 0, "text")?.trim(), "A C");
});

test("the selection and the cursor are marked, across the gap between the halves too", () => {
  const { grid, made } = rows(1);
  made.paint([row(0n, letters)], 16n, look({ low: 6n, high: 9n, cursor: 6n }));
  const marked = [...grid.querySelectorAll(".vl-cells .vl-sel")].map((n) => n.textContent).join("");
  assert.equal(marked, "47 48  49 4a");
  assert.equal(grid.querySelector(".vl-cells .vl-cur")?.textContent, "47");
  assert.equal(grid.querySelector("[aria-selected=true]")?.id, grid.getAttribute("aria-activedescendant"));
});

test("a line that stands for many says how many, and one without bytes why", () => {
  const { grid, made } = rows(2);
  made.paint([{ kind: SAME, start: 0n, end: 0x1000n, bytes: new Uint8Array(16), missing: 0, reason: "", more: false }, { kind: GAP, start: 0x1000n, end: 0x3000n, bytes: null, missing: 0, reason: "excluded \u202e", more: true }], 0x3000n, look());
  assert.equal(text(grid, 0, "note"), "256 more rows like it (4.0 KiB)");
  assert.equal(text(grid, 1, "note"), "excluded \\u202e: 8.0 KiB or more, up to 0000003000");
});

test("lines that are not there yet have their addresses, and those behind the end have none", () => {
  const { grid, made } = rows(3);
  made.paint([row(0n, letters)], 16n, look({ end: 32n }));
  assert.deepEqual([0, 1, 2].map((i) => text(grid, i, "at")), ["00000000", "00000010", ""]);
  assert.ok(grid.children[1].classList.contains("vl-late"));
  assert.ok(grid.children[2].classList.contains("vl-empty"));
});

test("a paint of the same changes no element", () => {
  const { grid, made } = rows(1);
  made.paint([row(0n, letters)], 16n, look());
  const before = grid.querySelector(".vl-b");
  made.paint([row(0n, letters)], 16n, look());
  assert.equal(grid.querySelector(".vl-b"), before);
});

test("addresses count from a base", () => {
  const { grid, made } = rows(1);
  made.paint([row(0xffffffff81000000n, letters)], 0xffffffff81000010n, look({ base: 0xffffffff80000000n, end: 1n << 64n }));
  assert.equal(text(grid, 0, "at"), "0000000001000000");
});

test("the byte under the mouse is that of the hexadecimal digits or of the characters", () => {
  const { grid, made } = rows(1);
  made.paint([row(0x20n, letters)], 0x30n, look());
  const [, cells, characters] = [...grid.children[0].children];
  place(cells, { left: 100, width: 480 });
  place(characters, { left: 600, width: 169 });
  const under = (/** @type {number} */ x) => {
    /** @type {bigint | null} */
    let found = null;
    cells.addEventListener("mousedown", (e) => { found = made.under(/** @type {any} */ (e), 0x30n); }, { once: true });
    cells.dispatchEvent(new page.window.MouseEvent("mousedown", { clientX: x, bubbles: true }));
    return found;
  };
  assert.deepEqual([105, 135, 100 + 25 * 10 + 5, 100 + 46 * 10, 610, 765].map(under), [0x20n, 0x21n, 0x28n, 0x2fn, 0x20n, 0x2fn]);
});
