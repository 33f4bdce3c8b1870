// The lines of the hex view on the page: elements that stay, of which a paint changes only what differs.

import { humanSize, shown } from "./address.js";
import { el, inert } from "./dom.js";
import { byteClass, hex2, printable } from "./format.js";
import { ROW, SAME } from "./lines.js";

export const LINE = 20; // pixels
const HEX_WIDTH = 16 * 3; // characters
const TEXT_EDGE = 9; // pixels before the first character: a line and room

/** @typedef {import("./lines.js").Line} Line */
/** @typedef {{low: bigint, high: bigint, cursor: bigint, end: bigint, base: bigint}} Look what is selected, where the space ends, what addresses count from */

const KINDS = ["", " vl-same", " vl-gap"];
const HEX = Array.from({ length: 256 }, (_, b) => hex2(b));
const TEXT = Array.from({ length: 256 }, (_, b) => printable(b));
const CLASS = Array.from({ length: 256 }, (_, b) => `vl-${byteClass(b)}`);

/** @type {HTMLElement | null} */
let pattern = null;

/** @returns {HTMLElement} an empty line */
function blank() {
  pattern ??= /** @type {HTMLElement} */ (el("div", { class: "vl-line", role: "row", style: `height:${LINE}px` }, el("span", { class: "vl-at", role: "rowheader" }),
    el("span", { class: "vl-cells", role: "gridcell" }), el("span", { class: "vl-text", "aria-hidden": "true" }), el("span", { class: "vl-note", role: "gridcell" })));
  return /** @type {HTMLElement} */ (pattern.cloneNode(true));
}

/**
 * One line: its elements, and what they show. Bytes of one class that follow one another are one element: a page computes the
 * style of each element, and a screen has hundreds of bytes.
 */
class Row {
  /** @param {number} number @param {string} name of the byte under the cursor, for the grid */
  constructor(number, name) {
    this.name = name;
    this.node = blank();
    this.node.setAttribute("aria-rowindex", String(number));
    const [at, cells, text, note] = /** @type {HTMLElement[]} */ ([...this.node.children]);
    this.at = at;
    this.cells = cells;
    this.text = text;
    this.note = note;
    /** @type {Line | null} */
    this.line = null;
    this.told = ["vl-line", "", "", "", ""]; // class, address, note, bytes, characters
  }

  /** @param {Line | null} line @param {bigint | null} start where the line is or will be @param {Look} look */
  paint(line, start, look) {
    this.line = line;
    const special = line && line.kind !== ROW ? line : null;
    const selected = special && look.low < special.end && look.high >= special.start ? " vl-sel" : "";
    if (this.differs(0, `vl-line${line ? KINDS[line.kind] : start === null ? " vl-empty" : " vl-late"}${selected}`)) this.node.className = this.told[0];
    if (this.differs(1, start === null ? "" : shown(start, look.end, look.base))) this.at.textContent = this.told[1];
    if (this.differs(2, special ? sentence(special, look) : "")) this.note.textContent = this.told[2];
    if (special) {
      if (this.differs(3, "")) this.cells.replaceChildren();
      if (this.differs(4, "")) this.text.replaceChildren();
      return;
    }
    const from = start ?? 0n;
    const within = (/** @type {bigint} */ address) => Number(clampTo(address - from, -1n, 16n));
    const [low, high, cursor, held] = [within(look.low), within(look.high), line ? within(look.cursor) : -1, line ? Number(line.end - from) : 0];
    /** @type {string[][]} */
    const hex = [];
    /** @type {string[][]} */
    const text = [];
    for (let c = 0; c < 16; c += 1) {
      const beyond = c >= held;
      const gone = beyond || ((/** @type {Line} */ (line).missing >> c) & 1) === 1;
      const b = gone ? 0 : /** @type {any} */ (line).bytes[c];
      const name = (gone ? "vl-g" : CLASS[b]) + (!beyond && c >= low && c <= high ? " vl-sel" : "") + (!beyond && c === cursor ? " vl-cur" : "");
      if (c) between(hex, name, c === 8 ? "  " : " ");
      append(hex, name, beyond && (line || start === null) ? "  " : gone ? "··" : HEX[b]);
      append(text, name, gone ? " " : TEXT[b]);
    }
    if (this.differs(3, hex.join("\n"))) this.cells.replaceChildren(...hex.map(([name, word]) => this.run("vl-b", name, word)));
    if (this.differs(4, text.join("\n"))) this.text.replaceChildren(...text.map(([name, word]) => this.run("vl-t", name, word)));
  }

  /** @param {number} which @param {string} text @returns {boolean} whether a part of the line is to be written anew */
  differs(which, text) {
    const differs = this.told[which] !== text;
    this.told[which] = text;
    return differs;
  }

  /** @param {string} kind @param {string} name @param {string} word */
  run(kind, name, word) {
    if (!name) return document.createTextNode(word);
    const node = document.createElement("span");
    node.className = `${kind} ${name}`;
    node.textContent = word;
    if (kind === "vl-b" && name.endsWith("vl-cur")) {
      node.id = this.name;
      node.setAttribute("aria-selected", "true");
    }
    return node;
  }

  /** @param {MouseEvent} e @returns {number} which byte of the row the mouse is over */
  byteUnder(e) {
    const [hex, text] = [this.cells, this.text].map((part) => part.getBoundingClientRect());
    if (e.clientX >= text.left) return clampByte(((e.clientX - text.left - TEXT_EDGE) / (text.width - TEXT_EDGE)) * 16);
    const character = ((e.clientX - hex.left) / hex.width) * HEX_WIDTH;
    return clampByte((character - (character > 24.5 ? 1 : 0) + 0.5) / 3);
  }
}

/** @param {number} c */
const clampByte = (c) => Math.max(0, Math.min(15, Math.floor(c)));

/** @param {string[][]} runs @param {string} name @param {string} word */
function append(runs, name, word) {
  const last = runs[runs.length - 1];
  if (last && last[0] === name) last[1] += word;
  else runs.push([name, word]);
}

/** Add what is between two bytes: of their run, or selected as both are. @param {string[][]} runs @param {string} name @param {string} gap */
function between(runs, name, gap) {
  const last = runs[runs.length - 1];
  if (last[0] === name) last[1] += gap;
  else runs.push([name.includes("vl-sel") && last[0].includes("vl-sel") ? "vl-sel" : "", gap]);
}

/** @param {bigint} value @param {bigint} low @param {bigint} high */
const clampTo = (value, low, high) => (value < low ? low : value > high ? high : value);

/** @param {Line} line @param {Look} look what a line that stands for many says */
function sentence(line, look) {
  const size = line.end - line.start;
  if (line.kind === SAME) return `${size / 16n} more rows like it (${humanSize(size)})${line.more ? " and maybe more" : ""}`;
  return `${inert(line.reason, 60)}: ${humanSize(size)}${line.more ? " or more" : ""}, up to ${shown(line.end, look.end, look.base)}`;
}

/** The lines on screen. */
export class Rows {
  /** @param {HTMLElement} grid @param {number} count */
  constructor(grid, count) {
    grid.style.height = `${count * LINE}px`;
    const name = `vl-cursor-${Math.random().toString(36).slice(2)}`;
    this.rows = Array.from({ length: count }, (_, i) => new Row(i + 1, name));
    grid.setAttribute("aria-activedescendant", name);
    grid.replaceChildren(...this.rows.map((row) => row.node));
  }

  /** @param {Line[]} lines those that are known, from the top @param {bigint} after where the unknown ones begin @param {Look} look */
  paint(lines, after, look) {
    this.rows.forEach((row, i) => {
      const place = after + 16n * BigInt(i - lines.length);
      row.paint(lines[i] || null, i < lines.length ? lines[i].start : place < look.end ? place : null, look);
    });
  }

  /** @param {MouseEvent} e @param {bigint} end of the space @returns {bigint | null} the byte under the mouse */
  under(e, end) {
    const row = this.rows.find((one) => one.node.contains(/** @type {Node} */ (e.target)));
    const line = row?.line;
    if (!row || !line) return null;
    if (line.kind !== ROW) return line.start;
    const at = line.start + BigInt(row.byteUnder(e));
    return at < end ? at : end - 1n;
  }

  /** @param {bigint} address @returns {Line | undefined} the line on screen that an address is in */
  at(address) {
    return this.rows.find(({ line }) => line && address >= line.start && address < line.end)?.line || undefined;
  }
}
