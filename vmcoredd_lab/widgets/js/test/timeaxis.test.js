import assert from "node:assert/strict";
import test from "node:test";

import { Axis, firstNotBelow, grouped, niceStep } from "../src/timeaxis.js";
import { isDark } from "../src/timecanvas.js";

const kernel = () => new Axis({ name: "kernel", unit: "s", note: "", origin: "1000000000", max: 4e9 });

test("a step is 1, 2 or 5 times a power of ten, not below what is asked", () => {
  assert.deepEqual([0.9, 1, 1.1, 3, 7, 0.03].map(niceStep), [1, 1, 2, 5, 10, 0.05]);
});

test("marks of the kernel's axis are seconds since boot, not since the first event", () => {
  const marks = kernel().marks(600);
  assert.ok(marks.some((m) => m.text === "2" && m.x === 1e9));
});

test("ticks beyond 2**53 keep their digits in the marks' order of size", () => {
  const axis = new Axis({ name: "firmware", unit: "ticks", note: "", origin: "9007199254740992000", max: 1000 });
  assert.ok(axis.marks(600).every((m) => m.text.startsWith("9,007,199,254,7")));
});

test("zooming keeps the place under the mouse", () => {
  const axis = kernel();
  const before = axis.at(3e9, 100, 500);
  axis.zoom(0.5, 3e9);
  assert.ok(Math.abs(axis.at(3e9, 100, 500) - before) < 1e-6);
});

test("zooming ends at a microsecond and at all there is", () => {
  const axis = kernel();
  for (let i = 0; i < 80; i += 1) axis.zoom(0.5, 1e9);
  assert.equal(Math.round(axis.high - axis.low), 1000);
  for (let i = 0; i < 80; i += 1) axis.zoom(2, 1e9);
  assert.ok(axis.low <= 0 && axis.high >= 4e9);
});

test("panning stops beside the last event", () => {
  const axis = kernel();
  axis.pan(1e15);
  assert.ok(axis.low < 4.5e9);
});

test("a place and its pixel are each other's inverse", () => {
  const axis = kernel();
  assert.ok(Math.abs(axis.under(axis.at(2.5e9, 168, 900), 168, 900) - 2.5e9) < 1);
});

test("an axis on which all happened at once has a width", () => {
  const axis = new Axis({ name: "k", unit: "s", note: "", origin: "0", max: 0 });
  assert.ok(axis.high > axis.low);
});

test("the first of sorted numbers that is not below", () => {
  assert.deepEqual([0, 1, 2, 5, 9].map((v) => firstNotBelow([1, 1, 3, 5], v)), [0, 0, 2, 3, 4]);
});

test("numbers are grouped by thousands", () => assert.equal(grouped(1234567n), "1,234,567"));

test("a light ink means a dark page", () => assert.deepEqual([isDark("rgb(230, 230, 230)"), isDark("rgb(20, 20, 20)")], [true, false]));
