import assert from "node:assert/strict";
import test from "node:test";

import { page } from "./page.js";
import { DARK, LIGHT, Picture } from "../src/timecanvas.js";

const EMERG = 0, INFO = 6;

/** A pen that remembers what it drew: [what, colour, ...where]. */
class Pen {
  constructor() {
    /** @type {any[]} */
    this.did = [];
    this.strokeStyle = this.fillStyle = this.font = this.textAlign = this.textBaseline = "";
    this.lineWidth = this.globalAlpha = 1;
    /** @type {any[]} */
    this.path = [];
  }

  setTransform() {}
  clearRect() { this.did = []; }
  save() {}
  restore() {}
  clip() { this.did.push(["clip"]); }
  beginPath() { this.path = []; }
  /** @param {...any} where */
  rect(...where) { this.path.push(["rect", ...where]); }
  /** @param {...any} where */
  moveTo(...where) { this.path.push(["move", ...where]); }
  /** @param {...any} where */
  lineTo(...where) { this.path.push(["line", ...where]); }
  /** @param {...any} where */
  arc(...where) { this.path.push(["arc", ...where]); }
  stroke() { this.did.push(["stroke", this.strokeStyle, ...this.path]); }
  fill() { this.did.push(["fill", this.fillStyle, ...this.path]); }
  /** @param {string} text */
  fillText(text) { this.did.push(["text", text]); }
  /** @param {string} text */
  measureText(text) { return { width: text.length * 6 }; }
}

/** @param {{x: number, lane: number, level: number, doubt?: number}[]} events @param {string} [ink] colour of text */
function picture(events, ink = "rgb(20, 20, 20)") {
  const canvas = page.window.document.createElement("canvas");
  canvas.style.color = ink;
  page.window.document.body.replaceChildren(canvas);
  Object.defineProperty(canvas, "clientWidth", { value: 1000 });
  const pen = new Pen();
  canvas.getContext = /** @type {any} */ (() => pen);
  const made = new Picture(canvas);
  const bytes = (/** @type {ArrayBufferView} */ a) => new Uint8Array(a.buffer);
  made.take({
    axes: [{ name: "kernel", unit: "s", note: "", origin: "0", max: 10e9 }, { name: "firmware", unit: "ticks", note: "", origin: "0", max: 1000 }],
    lanes: [{ axis: 0, source: "kernel", label: "kernel", device: "" }, { axis: 1, source: "firmware", label: "firmware", device: "cxgb4\u202e" }],
  }, [bytes(Float64Array.from(events, (e) => e.x)), bytes(Float32Array.from(events, (e) => e.doubt ?? 0)), bytes(Uint16Array.from(events, (e) => e.lane)), bytes(Uint8Array.from(events, (e) => e.level))]);
  return { made, pen };
}

const strokes = (/** @type {Pen} */ pen, /** @type {string} */ shade) => pen.did.filter((d) => d[0] === "stroke" && d[1] === shade).flatMap((d) => d.slice(2)).filter((p) => p[0] === "move");

test("events of a level stand in its colour where their time is", () => {
  const { made, pen } = picture([{ x: 1e9, lane: 0, level: INFO }, { x: 5e9, lane: 0, level: INFO }, { x: 5e9, lane: 0, level: EMERG }]);
  made.paint();
  const [axis] = made.axes;
  const left = made.placeOf(0)?.x ?? 0;
  assert.deepEqual(strokes(pen, LIGHT[INFO]).map((p) => p[1]), [left, made.placeOf(1)?.x]);
  assert.ok(Math.abs((made.placeOf(1)?.x ?? 0) - left - (4e9 / (axis.high - axis.low)) * made.width) < 1e-6);
  assert.equal(pen.did.filter((d) => d[0] === "fill" && d[1] === LIGHT[EMERG]).length, 1); // its dot
});

test("what is behind dark text is light, and the other way around", () => {
  const { made, pen } = picture([{ x: 1e9, lane: 0, level: INFO }], "rgb(230, 230, 230)");
  made.paint();
  assert.equal(strokes(pen, DARK[INFO]).length, 1);
});

test("one stroke stands for the many events of a pixel, one for each level", () => {
  const events = Array.from({ length: 50_000 }, (_, i) => ({ x: 1e9 + i, lane: 0, level: i % 2 ? INFO : EMERG }));
  const { made, pen } = picture(events);
  made.paint();
  assert.deepEqual([strokes(pen, LIGHT[INFO]).length, strokes(pen, LIGHT[EMERG]).length], [1, 1]);
});

test("what the filter leaves out is neither drawn nor found under the mouse", () => {
  const { made, pen } = picture([{ x: 1e9, lane: 0, level: INFO }, { x: 5e9, lane: 0, level: INFO }]);
  const [first, second] = [made.placeOf(0), made.placeOf(1)];
  made.mask = Uint8Array.of(0b10);
  made.paint();
  assert.equal(strokes(pen, LIGHT[INFO]).length, 1);
  assert.deepEqual([first, second].map((p) => made.hit(p?.x ?? 0, p?.y ?? 0)), [-1, 1]);
});

test("of events under the mouse the gravest is chosen, and none of another lane", () => {
  const { made } = picture([{ x: 5e9, lane: 0, level: INFO }, { x: 5e9, lane: 0, level: EMERG }, { x: 500, lane: 1, level: INFO }]);
  const at = made.placeOf(1);
  assert.equal(made.hit(at?.x ?? 0, at?.y ?? 0), 1);
  const other = made.placeOf(2);
  assert.equal(made.hit(other?.x ?? 0, other?.y ?? 0), 2);
  assert.equal(made.hit(at?.x ?? 0, 5000), -1);
});

test("a clock of its own is hatched and says so, the kernel's is not", () => {
  const { made, pen } = picture([{ x: 1e9, lane: 0, level: INFO }, { x: 500, lane: 1, level: INFO }]);
  made.paint();
  assert.equal(pen.did.filter((d) => d[0] === "clip").length, 1);
  const words = pen.did.filter((d) => d[0] === "text").map((d) => d[1]);
  assert.ok(words.includes("seconds since boot") && words.includes("ticks, own clock"));
  assert.ok(words.includes("cxgb4\\u202e"));
});

test("an event without a place is nowhere, and the others stay", () => {
  const { made, pen } = picture([{ x: 1e9, lane: 0xffff, level: INFO }, { x: 5e9, lane: 0, level: INFO }]);
  made.paint();
  assert.equal(made.placeOf(0), null);
  assert.equal(strokes(pen, LIGHT[INFO]).length, 1);
});

test("zoomed in, events outside are not drawn, and revealing one brings it back", () => {
  const { made, pen } = picture([{ x: 1e9, lane: 0, level: INFO }, { x: 9e9, lane: 0, level: INFO }]);
  made.axes[0].zoom(0.05, 1e9);
  made.paint();
  assert.equal(strokes(pen, LIGHT[INFO]).length, 1);
  made.reveal(1);
  made.paint();
  const at = made.placeOf(1)?.x ?? 0;
  assert.ok(at > 0 && at < 1000 && strokes(pen, LIGHT[INFO]).some((p) => p[1] === at));
});
