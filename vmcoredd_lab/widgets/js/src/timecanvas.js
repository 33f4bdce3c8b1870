// The picture of the timeline, drawn on a canvas: lanes under their axes, a stroke for each event.

import { inert } from "./dom.js";
import { Axis, firstNotBelow } from "./timeaxis.js";

const LANE = 40; // pixels
const GAP = 34; // room for an axis
const LEFT = 168;
const RIGHT = 14;
const NOWHERE = 0xffff;
const REACH = 6; // pixels from which an event is under the mouse

// Told apart also without red or green; what matters is tall and ends in a dot. Levels from emerg to debug, then unknown.
export const LIGHT = ["#882255", "#882255", "#aa3377", "#cc3311", "#e0661f", "#008577", "#0077bb", "#8a96a0", "#607d8b"];
export const DARK = ["#f07ab8", "#f07ab8", "#ee88c0", "#ff7059", "#ffa860", "#4fd1bf", "#62b5f0", "#7f8b96", "#90a4ae"];
const HEIGHT = [0.84, 0.84, 0.76, 0.68, 0.54, 0.42, 0.34, 0.24, 0.3];
const DOT = [4, 4, 3.6, 3.2, 2.4, 0, 0, 0, 0];

/** @typedef {{axis: number, source: string, label: string, device: string}} Lane */
/** @typedef {{events: Int32Array, x: Float64Array, top: number}} Placed */

export class Picture {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {Axis[]} */
    this.axes = [];
    /** @type {Lane[]} */
    this.lanes = [];
    /** @type {Placed[]} */
    this.placed = [];
    /** @type {Uint8Array | null} which events pass the filter, a bit each */
    this.mask = null;
    this.x = new Float64Array(0);
    this.doubt = new Float32Array(0);
    this.lane = new Uint16Array(0);
    /** @type {Uint8Array} */
    this.level = new Uint8Array(0);
    this.chosen = -1;
    this.hovered = -1;
    this.tying = -1;
    this.height = 0;
    /** @type {number[]} */
    this.axisTop = [];
  }

  /**
   * @param {any} told axes and lanes @param {Uint8Array[]} columns x, doubt, lane, level
   */
  take(told, columns) {
    const copy = (/** @type {Uint8Array} */ bytes) => bytes.slice().buffer; // aligned
    this.x = new Float64Array(copy(columns[0]));
    this.doubt = new Float32Array(copy(columns[1]));
    this.lane = new Uint16Array(copy(columns[2]));
    this.level = new Uint8Array(copy(columns[3]));
    this.axes = told.axes.map((/** @type {any} */ a) => new Axis(a));
    this.lanes = told.lanes;
    this.mask = null;
    /** @type {number[][]} */
    const members = this.lanes.map(() => []);
    for (let i = 0; i < this.lane.length; i += 1) if (this.lane[i] !== NOWHERE) members[this.lane[i]].push(i);
    let top = 18;
    this.axisTop = this.axes.map(() => 0);
    /** @type {Placed[]} */
    this.placed = [];
    this.axes.forEach((_, a) => {
      this.lanes.forEach((lane, n) => {
        if (lane.axis !== a) return;
        const events = Int32Array.from(members[n].sort((p, q) => this.x[p] - this.x[q]));
        this.placed[n] = { events, x: Float64Array.from(events, (i) => this.x[i]), top };
        top += LANE;
      });
      this.axisTop[a] = top;
      top += GAP;
    });
    this.height = top;
  }

  /** Events are numbered anew. */
  forget() {
    this.chosen = this.hovered = this.tying = -1;
  }

  /** @param {number} i */
  passes(i) {
    return !this.mask || ((this.mask[i >> 3] >> (i & 7)) & 1) === 1;
  }

  get width() {
    return Math.max(50, this.canvas.clientWidth - LEFT - RIGHT);
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const wide = this.canvas.clientWidth;
    this.canvas.style.height = `${this.height}px`;
    if (this.canvas.width !== Math.round(wide * ratio) || this.canvas.height !== Math.round(this.height * ratio)) {
      this.canvas.width = Math.round(wide * ratio);
      this.canvas.height = Math.round(this.height * ratio);
    }
    const pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, this.height);
    const style = getComputedStyle(this.canvas);
    const named = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const dark = isDark(style.color);
    const shades = dark ? DARK : LIGHT;
    const ink = { text: named("--vl-ink"), soft: named("--vl-soft"), line: named("--vl-line"), font: style.fontFamily };
    this.axes.forEach((axis, a) => this.paintAxis(pen, axis, a, ink));
    this.lanes.forEach((lane, n) => this.paintLane(pen, lane, this.placed[n], shades, ink));
    for (const [i, size] of [[this.tying, 9], [this.hovered, 6], [this.chosen, 7]]) this.ring(pen, i, size, i === this.tying ? shades[4] : style.color, ink);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Axis} axis @param {number} a @param {any} ink */
  paintAxis(pen, axis, a, ink) {
    const lanes = this.placed.filter((_, n) => this.lanes[n].axis === a);
    if (!lanes.length) return;
    const top = Math.min(...lanes.map((l) => l.top));
    const bottom = this.axisTop[a];
    if (axis.unit !== "s") this.hatch(pen, top, bottom, ink.line);
    pen.font = `11px ${ink.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    pen.lineWidth = 1;
    for (const mark of axis.marks(this.width)) {
      const at = Math.round(axis.at(mark.x, LEFT, this.width)) + 0.5;
      if (at < LEFT || at > LEFT + this.width) continue;
      pen.strokeStyle = ink.line;
      pen.beginPath();
      pen.moveTo(at, top);
      pen.lineTo(at, bottom + 3);
      pen.stroke();
      pen.fillStyle = ink.soft;
      if (at - pen.measureText(mark.text).width / 2 > LEFT - 8) pen.fillText(mark.text, at, bottom + 5); // else over the name of the axis
    }
    pen.textAlign = "right";
    pen.fillStyle = ink.soft;
    pen.fillText(axis.unit === "s" ? "seconds since boot" : `${axis.unit}, own clock`, LEFT - 10, bottom + 5);
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} top @param {number} bottom @param {string} line */
  hatch(pen, top, bottom, line) {
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, top, this.width, bottom - top);
    pen.clip();
    pen.strokeStyle = line;
    pen.globalAlpha = 0.45;
    pen.beginPath();
    for (let x = LEFT - (bottom - top); x < LEFT + this.width; x += 9) {
      pen.moveTo(x, bottom);
      pen.lineTo(x + bottom - top, top);
    }
    pen.stroke();
    pen.restore();
  }

  /** @param {CanvasRenderingContext2D} pen @param {Lane} lane @param {Placed} placed @param {string[]} shades @param {any} ink */
  paintLane(pen, lane, placed, shades, ink) {
    const base = placed.top + LANE - 4;
    const width = this.width; // asking for it makes the page lay itself out
    pen.fillStyle = ink.text;
    pen.textAlign = "right";
    pen.textBaseline = "alphabetic";
    pen.font = `600 12px ${ink.font}`;
    pen.fillText(inert(lane.label, 24), LEFT - 10, base - (lane.device ? 13 : 5));
    if (lane.device) {
      pen.fillStyle = ink.soft;
      pen.font = `11px ${ink.font}`;
      pen.fillText(inert(lane.device, 26), LEFT - 10, base);
    }
    pen.strokeStyle = ink.line;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(LEFT, base + 0.5);
    pen.lineTo(LEFT + width, base + 0.5);
    pen.stroke();
    const axis = this.axes[lane.axis];
    const from = Math.max(0, firstNotBelow(placed.x, axis.low) - 1);
    const to = Math.min(placed.x.length, firstNotBelow(placed.x, axis.high) + 1);
    const last = new Float64Array(shades.length).fill(-1e9);
    /** @type {number[][]} */
    const columns = shades.map(() => []);
    for (let k = from; k < to; k += 1) {
      const i = placed.events[k];
      if (!this.passes(i)) continue;
      const at = axis.at(placed.x[k], LEFT, width);
      if (at < LEFT - 1 || at > LEFT + width + 1) continue;
      const level = this.level[i];
      if (at - last[level] < 0.5) continue; // a stroke stands there already
      last[level] = at;
      columns[level].push(at);
      const doubt = (this.doubt[i] / (axis.high - axis.low)) * width;
      if (doubt > 3) this.whisker(pen, at, doubt, base, ink.soft);
    }
    for (let level = shades.length - 1; level >= 0; level -= 1) { // the gravest last, on top
      if (!columns[level].length) continue;
      const top = base - HEIGHT[level] * (LANE - 8);
      pen.strokeStyle = pen.fillStyle = shades[level];
      pen.lineWidth = DOT[level] ? 1.8 : 1;
      pen.beginPath();
      for (const at of columns[level]) {
        pen.moveTo(at, base);
        pen.lineTo(at, top);
      }
      pen.stroke();
      if (!DOT[level]) continue;
      pen.beginPath();
      for (const at of columns[level]) {
        pen.moveTo(at + DOT[level], top);
        pen.arc(at, top, DOT[level], 0, 7);
      }
      pen.fill();
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} at @param {number} doubt @param {number} base @param {string} shade */
  whisker(pen, at, doubt, base, shade) {
    pen.save();
    pen.strokeStyle = shade;
    pen.globalAlpha = 0.5;
    pen.beginPath();
    pen.moveTo(Math.max(LEFT, at - doubt), base - 2);
    pen.lineTo(Math.min(LEFT + this.width, at + doubt), base - 2);
    pen.stroke();
    pen.restore();
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} i @param {number} size @param {string} shade @param {any} ink */
  ring(pen, i, size, shade, ink) {
    const place = this.placeOf(i);
    if (!place || place.x < LEFT || place.x > LEFT + this.width) return;
    pen.strokeStyle = shade || ink.text;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(place.x, place.y, size, 0, 7);
    pen.stroke();
  }

  /** @param {number} i @returns {{x: number, y: number} | null} where an event is drawn */
  placeOf(i) {
    if (i < 0 || i >= this.lane.length || this.lane[i] === NOWHERE) return null;
    const n = this.lane[i];
    const top = this.placed[n].top + LANE - 4 - HEIGHT[this.level[i]] * (LANE - 8);
    return { x: this.axes[this.lanes[n].axis].at(this.x[i], LEFT, this.width), y: top };
  }

  /** @param {number} y @returns {number} the axis whose lanes or marks are at a height; -1 */
  axisAt(y) {
    const a = this.axisTop.findIndex((top) => y < top + GAP);
    return a;
  }

  /** @param {number} x @param {number} y @returns {number} the event at a place of the canvas; -1 */
  hit(x, y) {
    const width = this.width;
    const n = this.placed.findIndex((p) => y >= p.top - 2 && y < p.top + LANE);
    if (n < 0 || x < LEFT - REACH) return -1;
    const placed = this.placed[n];
    const axis = this.axes[this.lanes[n].axis];
    const low = firstNotBelow(placed.x, axis.under(x - REACH, LEFT, width));
    const high = axis.under(x + REACH, LEFT, width);
    let best = -1;
    let worth = -Infinity;
    for (let k = low; k < placed.x.length && placed.x[k] <= high && k < low + 20000; k += 1) {
      const i = placed.events[k];
      if (!this.passes(i)) continue;
      const far = Math.abs(axis.at(placed.x[k], LEFT, width) - x);
      const value = -far - this.level[i] * 0.2; // near ones, and of those the gravest
      if (value > worth) [best, worth] = [i, value];
    }
    return best;
  }

  /** @param {number} i */
  reveal(i) {
    if (i >= 0 && this.lane[i] !== NOWHERE) this.axes[this.lanes[this.lane[i]].axis].reveal(this.x[i]);
  }

  /** @param {number} a @param {number} pixel */
  xAt(a, pixel) {
    return this.axes[a].under(pixel, LEFT, this.width);
  }

  /** @param {number} a @param {number} pixels */
  pan(a, pixels) {
    const axis = this.axes[a];
    axis.pan((-pixels / this.width) * (axis.high - axis.low));
  }
}

/** @param {string} colour as rgb(r, g, b), of text @returns {boolean} whether what is behind it is dark */
export function isDark(colour) {
  const [r, g, b] = (colour.match(/[\d.]+/g) || ["0", "0", "0"]).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 128;
}
