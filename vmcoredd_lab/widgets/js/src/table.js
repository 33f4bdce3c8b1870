// A table of any number of rows: those on screen are asked for, the others are room.

import { el, inert } from "./dom.js";

const ROW = 24; // pixels
const AHEAD = 20;
const TALLEST = 8000000; // pixels; browsers stop at some 30 million

export class VirtualTable {
  /**
   * @param {import("./wire.js").Wire} wire
   * @param {{chosen: (row: number, query: Record<string, any>) => void, told: (message: any) => void}} events
   * @param {boolean} [sortable] whether a click on a title sorts
   */
  constructor(wire, events, sortable = true) {
    this.sortable = sortable;
    this.wire = wire;
    this.events = events;
    this.query = /** @type {Record<string, any>} */ ({ name: "", filter: "", sort: null, down: false });
    this.shown = this.query; // what the rows on screen answer, until those of the query have come
    /** @type {Map<number, string[]>} */
    this.known = new Map();
    this.total = 0;
    /** @type {any[]} */
    this.columns = [];
    this.current = -1;
    this.asking = false;
    this.turn = 0;
    this.head = el("div", { class: "vl-th", role: "row" });
    this.body = el("div", { class: "vl-rows", role: "rowgroup" });
    this.room = el("div", { class: "vl-room" }, this.body);
    this.scroller = el("div", { class: "vl-scroller", tabindex: 0, role: "grid", "aria-label": "rows", "data-lm-suppress-shortcuts": "true" }, this.head, this.room);
    this.root = this.scroller;
    this.scroller.addEventListener("scroll", () => this.draw());
    this.scroller.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => this.key(e));
    this.body.addEventListener("click", (/** @type {MouseEvent} */ e) => this.clicked(e));
    this.frame = 0;
  }

  /** A row may be painted anew while the button is down: then the click is the table's. @param {MouseEvent} e */
  clicked(e) {
    const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (e.target).closest(".vl-tr"));
    const top = this.body.getBoundingClientRect().top;
    this.choose(row ? Number(row.dataset.row) : this.first + Math.floor((e.clientY - top) / ROW));
  }

  /** Ask for other rows; those on screen stay, and can be chosen, until they come. @param {Record<string, any>} query */
  show(query) {
    this.query = { ...this.query, ...query };
    this.turn += 1;
    this.asking = false;
    this.scroller.setAttribute("aria-busy", "true");
    this.ask(0);
  }

  /** Whether the rows on screen are not yet those of the query. */
  get stale() {
    return this.shown !== this.query;
  }

  /** The rows of the query have come. @returns {boolean} whether those on screen are others */
  turned() {
    if (!this.stale) return false;
    this.shown = this.query;
    this.known.clear();
    this.current = -1;
    this.total = -1;
    this.scroller.scrollTop = 0;
    return true;
  }

  /** @param {any} message */
  take(message) {
    const turned = this.turned();
    this.scroller.removeAttribute("aria-busy");
    this.total = message.total;
    message.rows.forEach((/** @type {string[]} */ row, /** @type {number} */ i) => this.known.set(message.from + i, row));
    if (this.known.size > 5000) for (const key of [...this.known.keys()].slice(0, 2000)) this.known.delete(key);
    this.columns = message.columns;
    this.titles();
    this.room.style.height = `${Math.min(TALLEST, this.total * ROW)}px`;
    this.scroller.setAttribute("aria-rowcount", String(this.total));
    this.events.told(message);
    if (turned) this.paint(); // a click in this frame means a row of the new ones
    else this.draw();
  }

  titles() {
    const text = this.columns.map((c) => c[0]).join("|") + this.query.sort + this.query.down;
    if (this.head.dataset.text === text) return;
    this.head.dataset.text = text;
    const wide = this.columns.reduce((best, c, i) => (!c[2] && c[3] >= (best < 0 ? 0 : this.columns[best][3]) ? i : best), -1);
    this.scroller.style.setProperty("--vl-columns", this.columns.map((c, i) => (i === wide ? `minmax(calc(${c[3]}ch + 18px), 1fr)` : `calc(${c[3]}ch + 18px)`)).join(" "));
    this.scroller.style.setProperty("--vl-wide", `calc(${this.columns.reduce((sum, c) => sum + c[3], 0)}ch + ${18 * this.columns.length}px)`);
    this.head.replaceChildren(...this.columns.map(([name, doc, number]) => el("span", { class: "vl-td" + (number ? " vl-num" : ""), role: "columnheader", title: inert(doc), tabindex: 0,
      "aria-sort": this.query.sort === name ? (this.query.down ? "descending" : "ascending") : "none",
      onclick: () => this.sortable && this.show({ sort: this.query.sort === name && this.query.down ? null : name, down: this.query.sort === name && !this.query.down }),
      onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === "Enter") /** @type {HTMLElement} */ (e.target).click(); } },
    inert(name) + (this.query.sort === name ? (this.query.down ? " ▾" : " ▴") : ""))));
  }

  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  get visible() {
    return Math.ceil(this.scroller.clientHeight / ROW) + 1;
  }

  get first() {
    const tall = this.total * ROW;
    if (tall <= TALLEST) return Math.floor(this.scroller.scrollTop / ROW);
    const part = this.scroller.scrollTop / Math.max(1, TALLEST - this.scroller.clientHeight);
    return Math.floor(part * Math.max(0, this.total - this.visible + 2));
  }

  paint() {
    if (this.total < 0) return;
    const first = Math.max(0, Math.min(this.first, this.total));
    const last = Math.min(this.total, first + this.visible);
    const rows = [];
    let lacking = -1;
    for (let i = first; i < last; i += 1) {
      const cells = this.known.get(i);
      if (!cells && lacking < 0) lacking = i;
      rows.push(this.row(i, cells));
    }
    this.body.style.top = `${this.total * ROW <= TALLEST ? first * ROW : this.scroller.scrollTop}px`;
    this.body.replaceChildren(...rows);
    if (lacking >= 0) this.ask(lacking);
  }

  /** @param {number} i @param {string[] | undefined} cells */
  row(i, cells) {
    const severity = cells && ["critical", "error", "warning", "info"].find((s) => cells.includes(s));
    return el("div", { class: "vl-tr" + (i === this.current ? " vl-on" : "") + (severity ? ` vl-s-${severity}` : ""), role: "row", "aria-rowindex": i + 1, "aria-selected": String(i === this.current), "data-row": i },
    ...(cells ? cells.map((c, k) => el("span", { class: "vl-td" + (this.columns[k] && this.columns[k][2] ? " vl-num" : ""), role: "gridcell", title: c.length > 40 ? inert(c, 1000) : undefined }, inert(c, 400))) : [el("span", { class: "vl-td" }, "…")]));
  }

  /** @param {number} from */
  async ask(from) {
    if (this.asking) return;
    this.asking = true;
    const turn = this.turn;
    try {
      const query = /** @type {Record<string, any>} */ ({ ...this.query, from: Math.max(0, from - 5), count: this.visible + 2 * AHEAD });
      let { message } = await this.wire.ask("rows", { ...query, soon: true });
      if (message.making) {
        if (turn === this.turn) this.wait(message.title, null);
        await this.wire.ask("make", { name: query.name }, (m) => turn === this.turn && this.wait(m.said || message.title, m.part));
        ({ message } = await this.wire.ask("rows", query));
      }
      if (turn === this.turn) {
        this.asking = false;
        this.take(message);
      }
    } catch (e) {
      if (turn === this.turn) {
        this.asking = false;
        this.turned();
        this.scroller.removeAttribute("aria-busy");
        this.total = 0;
        this.room.style.height = "0px";
        this.body.replaceChildren();
        this.events.told({ error: String(/** @type {Error} */ (e).message), total: 0, all: 0 });
      }
    }
  }

  /** Say that a table is being made. @param {string} what @param {number | null} part */
  wait(what, part) {
    this.turned();
    this.head.replaceChildren();
    this.head.dataset.text = "";
    this.room.style.height = "";
    this.body.style.top = "0px";
    this.body.replaceChildren(el("div", { class: "vl-making", role: "status" }, el("progress", part === null ? {} : { max: 1, value: part }), ` ${inert(what, 80)}…`));
    this.events.told({ making: what });
  }

  /** @param {number} i */
  choose(i) {
    if (i < 0 || i >= this.total) return;
    this.current = i;
    const top = this.scroller.scrollTop;
    const room = this.scroller.clientHeight - 2 * ROW;
    if (this.total * ROW <= TALLEST && (i * ROW < top || i * ROW > top + room)) this.scroller.scrollTop = Math.max(0, i * ROW - room / 2);
    this.draw();
    this.events.chosen(i, this.shown);
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    const steps = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, PageDown: this.visible - 2, PageUp: 2 - this.visible, Home: -1e12, End: 1e12 });
    if (steps[e.key] === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    this.choose(Math.max(0, Math.min(this.total - 1, this.current + steps[e.key])));
  }
}
