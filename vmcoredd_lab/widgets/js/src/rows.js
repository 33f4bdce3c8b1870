// The lines of the hex view on the page: elements that stay, of which a paint changes only what differs.

import { humanSize, shown } from "./address.js";
import { el, inert } from "./dom.js";
import { byteClass, hex2, printable } from "./format.js";
import { ROW, SAME } from "./lines.js";

export const LINE = 20; // pixels

/** @typedef {import("./lines.js").Line} Line */
/** @typedef {{low: bigint, high: bigint, cursor: bigint, end: bigint, base: bigint}} Look what is selected, where the space ends, what addresses count from */

const KINDS = ["", " vl-same", " vl-gap"];
const HEX = Array.from({ length: 256 }, (_, b) => hex2(b));
const TEXT = Array.from({ length: 256 }, (_, b) => printable(b));
const CLASS = Array.from({ length: 256 }, (_, b) => byteClass(b));

/** @type {HTMLElement | null} */
let pattern = null;

/** @returns {HTMLElement} a line with room for 16 bytes */
function blank() {
  if (!pattern) {
    const cells = Array.from({ length: 16 }, (_, c) => el("span", { class: "vl-b", role: "gridcell", "data-c": c }));
    const texts = Array.from({ length: 16 }, (_, c) => el("span", { class: "vl-t", "data-c": c }));
    pattern = /** @type {HTMLElement} */ (el("div", { class: "vl-line", role: "row", style: `height:${LINE}px` }, el("span", { class: "vl-at", role: "rowheader" }),
      el("span", { class: "vl-cells", role: "presentation" }, ...cells), el("span", { class: "vl-text", "aria-hidden": "true" }, ...texts), el("span", { class: "vl-note", role: "gridcell" })));
  }
  return /** @type {HTMLElement} */ (pattern.cloneNode(true));
}

/** One line: its elements, and what they show. */
class Row {
  /** @param {number} number */
  constructor(number) {
    this.node = blank();
    this.node.setAttribute("aria-rowindex", String(number));
    const [at, cells, texts, note] = /** @type {HTMLElement[]} */ ([...this.node.children]);
    this.at = at;
    this.note = note;
    this.cells = /** @type {HTMLElement[]} */ ([...cells.children]);
    this.texts = /** @type {HTMLElement[]} */ ([...texts.children]);
    /** @type {Line | null} */
    this.line = null;
    this.told = ["vl-line", "", ""]; // class, address, note
    this.words = new Array(32).fill("");
    /** @type {string[]} */
    this.classes = Array.from({ length: 32 }, (_, i) => (i < 16 ? "vl-b" : "vl-t"));
    this.current = -1;
  }

  /** @param {Line | null} line @param {bigint | null} start where the line is or will be @param {Look} look */
  paint(line, start, look) {
    this.line = line;
    const special = line && line.kind !== ROW ? line : null;
    const selected = special && look.low < special.end && look.high >= special.start ? " vl-sel" : "";
    this.tell(0, `vl-line${line ? KINDS[line.kind] : start === null ? " vl-empty" : " vl-late"}${selected}`);
    this.tell(1, start === null ? "" : shown(start, look.end, look.base));
    this.tell(2, special ? sentence(special, look) : "");
    let current = -1;
    if (!special) {
      const from = start ?? 0n;
      const low = Number(clampTo(look.low - from, -1n, 16n));
      const high = Number(clampTo(look.high - from, -1n, 16n));
      const held = line ? Number(line.end - from) : 0;
      const cursor = line ? Number(clampTo(look.cursor - from, -1n, 16n)) : -1;
      for (let c = 0; c < 16; c += 1) {
        const beyond = c >= held;
        const gone = beyond || ((/** @type {Line} */ (line).missing >> c) & 1) === 1;
        const b = gone ? 0 : /** @type {any} */ (line).bytes[c];
        const more = (gone ? "g" : CLASS[b]) + (!beyond && c >= low && c <= high ? " vl-sel" : "") + (!beyond && c === cursor ? " vl-cur" : "");
        this.put(c, this.cells[c], beyond && (line || start === null) ? "" : gone ? "··" : HEX[b], "vl-b vl-" + more);
        this.put(16 + c, this.texts[c], gone ? "" : TEXT[b], "vl-t vl-" + more);
      }
      if (cursor >= 0 && cursor < Math.min(16, held)) current = cursor;
    }
    if (this.current >= 0 && this.current !== current) {
      this.cells[this.current].removeAttribute("aria-selected");
      this.cells[this.current].removeAttribute("aria-label");
    }
    if (current >= 0) {
      this.cells[current].setAttribute("aria-selected", "true");
      this.cells[current].setAttribute("aria-label", `${this.told[1]} and ${current}: ${this.words[current] === "··" ? "missing" : this.words[current]}`);
    }
    this.current = current;
  }

  /** @param {number} which @param {string} text */
  tell(which, text) {
    if (this.told[which] === text) return;
    this.told[which] = text;
    if (which === 0) this.node.className = text;
    else if (which === 1) this.at.textContent = text;
    else this.note.textContent = text;
  }

  /** @param {number} i @param {HTMLElement} cell @param {string} word @param {string} name */
  put(i, cell, word, name) {
    if (this.words[i] !== word) cell.textContent = this.words[i] = word;
    if (this.classes[i] !== name) cell.className = this.classes[i] = name;
  }
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
    this.rows = Array.from({ length: count }, (_, i) => new Row(i + 1));
    grid.replaceChildren(...this.rows.map((row) => row.node));
  }

  /** @param {Line[]} lines those that are known, from the top @param {bigint} after where the unknown ones begin @param {Look} look */
  paint(lines, after, look) {
    this.rows.forEach((row, i) => {
      const place = after + 16n * BigInt(i - lines.length);
      row.paint(lines[i] || null, i < lines.length ? lines[i].start : place < look.end ? place : null, look);
    });
  }

  /** @param {HTMLElement} target an element of a line @param {bigint} end of the space @returns {bigint | null} the byte it shows */
  under(target, end) {
    const line = this.rows.find((row) => row.node.contains(target))?.line;
    if (!line) return null;
    if (line.kind !== ROW) return line.start;
    const at = line.start + BigInt(target.dataset?.c ?? 0);
    return at < end ? at : end - 1n;
  }

  /** @param {bigint} address @returns {Line | undefined} the line on screen that an address is in */
  at(address) {
    return this.rows.find(({ line }) => line && address >= line.start && address < line.end)?.line || undefined;
  }
}
