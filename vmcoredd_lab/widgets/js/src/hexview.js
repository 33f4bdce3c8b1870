// The hex view. The kernel is asked for the lines on screen and no others.

import css from "./hexview.css";
import { atShare, clamp, humanSize, parse, rowOf, share, shown, wire } from "./address.js";
import { Bookmarks } from "./bookmarks.js";
import { el, inert, keepKeys, named, toClipboard } from "./dom.js";
import { Dragging } from "./dragging.js";
import { Finder } from "./finder.js";
import { COPY } from "./format.js";
import { Inspector } from "./inspector.js";
import { LineCache, ROW, unpack } from "./lines.js";
import { moved } from "./motion.js";
import { LINE, Rows } from "./rows.js";
import { ScrollBar } from "./scrollbar.js";
import { addStyle, dropStyle } from "./style.js";
import { Tree, sentence } from "./tree.js";
import { Wire, bytesOf } from "./wire.js";

const AHEAD = 24; // lines asked for beyond the screen
const REST = 60; // milliseconds after which a cursor rests
const MOST_COPIED = 1n << 20n;
const BARE = ["buffer", "note", "physical", "virtual"]; // kinds of spaces of which no structure is known

export class HexPane {
  /** @type {Rows} */
  lines = /** @type {any} */ (null);
  /** @param {any} model @param {HTMLElement} host @param {Wire} [shared] */
  constructor(model, host, shared) {
    this.model = model;
    /** @type {Wire} */
    this.wire = shared || new Wire(model);
    this.cache = new LineCache();
    this.rows = model.get("rows") || 24;
    this.space = model.get("space");
    this.start = 0n;
    this.end = 0n;
    this.top = 0n;
    this.cursor = 0n;
    this.anchor = 0n;
    this.collapse = true;
    this.base = 0n;
    /** @type {string | null} */
    this.pending = null;
    /** @type {{top: bigint, lines: number} | null} */
    this.upward = null;
    this.frame = 0;
    this.closed = false;
    this.live = false;
    this.going = 0; // places that the kernel has been asked for and has not given yet
    const say = (/** @type {string} */ text, /** @type {boolean} */ bad = false) => this.say(text, bad);
    this.finder = new Finder(this.wire, { from: () => ({ space: this.space, low: this.span[0] }), say, found: (at, size, wrapped) => {
      this.select(at, at + size, true);
      if (wrapped) this.say(`found at ${shown(at, this.end, this.base)}, around the end`);
    } });
    this.bookmarks = new Bookmarks(this.model, { say, go: (space, at) => this.show(space, at, 1n), here: () => ({ space: this.space, at: this.cursor,
      name: `${shown(this.cursor, this.end, this.base)} ${this.field.textContent?.split(" = ")[0] || ""}`.trim().slice(0, 80) }) });
    this.tree = new Tree(this.wire, {
      chosen: (node) => this.select(parse(node.start), parse(node.end), true),
      follow: (node) => this.enter(node.link, null, 0n),
    });
    this.grid = el("div", { class: "vl-grid", tabindex: 0, role: "grid", "aria-label": "bytes", "data-lm-suppress-shortcuts": "true", "aria-readonly": "true" });
    this.scroll = new ScrollBar((part) => this.jump(rowOf(atShare(part, this.start, this.end))));
    this.inspector = new Inspector();
    this.dragging = new Dragging(this.grid, {
      under: (e) => this.lines.under(e, this.end),
      begin: (at, extend) => {
        this.cursor = at;
        if (!extend) this.anchor = at;
        this.changed();
      },
      to: (at) => {
        if (at === this.cursor) return;
        this.cursor = at;
        this.changed(false);
      },
      beyond: (lines) => this.drawOut(lines),
      end: () => this.changed(),
    });
    addStyle("hexview", css);
    this.build(host);
    this.listen();
    this.fromFirst();
    this.enter(this.space, parse(model.get("address")), 0n);
  }

  // -- the page ---------------------------------------------------------------------------------------------------

  /** @param {HTMLElement} host */
  build(host) {
    this.spaces = el("select", { class: "vl-spaces", ...named("space of bytes"), onchange: () => this.enter(this.spaces.value, null, 0n) });
    this.names = el("datalist", { id: `vl-names-${Math.random().toString(36).slice(2)}` });
    this.go = el("input", { class: "vl-go", placeholder: "go to 0x…, +16, register", list: this.names.id, ...named("go to an offset (hexadecimal, decimal, +relative) or a name (Ctrl+G)"), spellcheck: "false",
      onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === "Enter") this.goto(this.go.value); }, oninput: () => this.complete() });
    this.baseField = el("input", { class: "vl-base", placeholder: "base 0", ...named("address that the offset column counts from, hexadecimal"), spellcheck: "false",
      onchange: () => this.rebase(this.baseField.value) });
    this.copyAs = el("select", { class: "vl-copy", ...named("copy the selection as"), onchange: () => { this.copy(this.copyAs.value); this.copyAs.value = ""; } },
      el("option", { value: "" }, "copy…"), ...Object.keys(COPY).map((k) => el("option", { value: k }, k === "c" ? "C" : k)));
    const bar = el("div", { class: "vl-bar", role: "toolbar", "aria-label": "hex view" }, this.spaces, this.go, this.names, this.baseField,
      this.finder.root, el("span", { class: "vl-group" }, this.copyAs, this.bookmarks.star, this.bookmarks.list),
      el("span", { class: "vl-group" }, this.toggle("≡", "collapse equal rows", "collapse", true), this.toggle("⊞", "structure", "structure", this.model.get("structure"))));
    this.status = el("div", { class: "vl-status", role: "status", "aria-live": "polite" });
    this.field = el("div", { class: "vl-field", role: "status", "aria-live": "polite" });
    this.side = el("div", { class: "vl-side" }, this.tree.root);
    this.root = el("div", { class: "vl-hex", "data-lm-suppress-shortcuts": "true" }, bar,
      el("div", { class: "vl-main" }, this.side, el("div", { class: "vl-bytes" }, this.grid, this.scroll.root)), this.field, this.inspector.root, this.status);
    this.side.hidden = !this.model.get("structure");
    host.append(this.root);
    this.resize(this.rows);
  }

  /** @param {string} text @param {string} title @param {string} name @param {boolean} on */
  toggle(text, title, name, on) {
    const node = el("button", { type: "button", class: `vl-toggle vl-${name}`, "aria-pressed": String(!!on), ...named(title), onclick: () => {
      const now = node.getAttribute("aria-pressed") !== "true";
      node.setAttribute("aria-pressed", String(now));
      if (name === "collapse") {
        this.collapse = now;
        this.cache.clear();
        this.draw();
      } else {
        this.side.hidden = !now;
        if (now) {
          this.tree.show(this.space).then(() => {
            this.side.classList.toggle("vl-bare", this.tree.empty);
            this.name();
          });
        }
      }
    } }, text);
    return node;
  }

  /** @param {number} rows */
  resize(rows) {
    this.rows = rows;
    this.side.style.maxHeight = `${rows * LINE}px`;
    this.lines = new Rows(this.grid, rows);
  }

  listen() {
    this.grid.addEventListener("wheel", (/** @type {WheelEvent} */ e) => {
      const lines = Math.sign(e.deltaY) * Math.max(1, Math.round(Math.abs(e.deltaMode === 1 ? e.deltaY : e.deltaY / LINE)));
      if (!this.movable(lines)) return; // then the page scrolls
      e.preventDefault();
      e.stopPropagation();
      this.move(lines);
    }, { passive: false });
    this.grid.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => this.key(e));
    keepKeys(this.root, (e) => this.shortcut(e));
    this.onModel = () => {
      const space = this.model.get("space");
      const address = parse(this.model.get("address"));
      if (space !== this.space) this.enter(space, address, 0n);
      else if (address !== this.cursor) this.select(address, this.selectedEnd(address), true);
    };
    this.model.on("change:asked", this.onModel); // an address or space that the page itself set may come back when it is elsewhere
  }

  /** @param {bigint} address */
  selectedEnd(address) {
    const [from, to] = (this.model.get("selection") || []).map(parse);
    return from === address && to > from ? to : address + 1n;
  }

  // -- where we are -----------------------------------------------------------------------------------------------

  /** What the widget carries for pages without a kernel is drawn at once; a live kernel then says more. */
  fromFirst() {
    const first = this.model.get("first");
    if (!first || !first.lines || first.key !== this.space) return;
    this.start = parse(first.start);
    this.end = parse(first.end);
    const data = Uint8Array.from(first.data.match(/../g) || [], (/** @type {string} */ b) => parseInt(b, 16));
    const lines = unpack(first.lines, data);
    this.cache.add(lines);
    if (lines.length) this.top = lines[0].start;
    this.cursor = this.anchor = parse(this.model.get("address"));
    this.spaces.append(el("option", { value: first.key }, inert(first.title)));
    this.side.classList.toggle("vl-bare", BARE.includes(first.kind));
    this.drawNow();
  }

  /**
   * Show a space from an address on, null its start, with that many bytes selected.
   * @param {string} key @param {bigint | null} at @param {bigint} size
   */
  async enter(key, at, size) {
    let extent;
    const before = this.space;
    const [top, cursor] = [this.top, this.cursor];
    try {
      this.space = key;
      this.model.set("space", key);
      this.model.save_changes();
      extent = (await this.wire.ask("spaces", { space: key })).message;
    } catch (e) {
      if (this.space === key) this.space = before;
      this.say(String(/** @type {Error} */ (e).message), true);
      return;
    }
    if (this.closed || this.space !== key) return; // somebody went on meanwhile
    this.live = true;
    this.hideFirst();
    this.start = parse(extent.start);
    this.end = parse(extent.end);
    this.spaces.replaceChildren(...extent.spaces.map((/** @type {string[]} */ [k, title]) => el("option", { value: k }, inert(title))));
    this.spaces.value = key;
    if (before !== key) {
      this.cache.clear();
      this.field.textContent = " ";
      this.inspector.show(null);
    }
    if (before !== key || (top === this.top && cursor === this.cursor)) this.begin(at, size); // else somebody scrolled meanwhile
    else this.draw();
    if (!this.side.hidden) await this.tree.show(key);
    this.side.classList.toggle("vl-bare", this.tree.empty);
    this.name();
  }

  /** Show a place of the space that was entered. @param {bigint | null} at @param {bigint} size */
  begin(at, size) {
    const place = at === null ? this.start : this.within(at);
    this.cursor = this.anchor = place;
    const [from, to] = (this.model.get("selection") || []).map(parse);
    if (from === place && to > from && at !== null) this.anchor = to - 1n;
    if (size > 1n) this.anchor = place + size - 1n;
    this.jump(rowOf(place));
    this.changed();
  }

  /** @returns {string} what finds the first screen for pages without a kernel */
  get first() {
    return `.vl-first-${this.model.get("mark")}`;
  }

  /** The first screen is not needed where a kernel answers, also where it is shown later than the widget. */
  hideFirst() {
    addStyle(this.first, `${this.first} { display: none; }`);
    for (const node of document.querySelectorAll(this.first)) {
      /** @type {HTMLElement} */ (node.closest(".jp-OutputArea-child") || node).style.display = "none"; // else JupyterLab keeps an empty output
    }
  }

  /** @param {bigint} address @returns {bigint} the same, or the end of the space that is nearest */
  within(address) {
    return clamp(address, this.start, this.end > 0n ? this.end - 1n : 0n);
  }

  /** @param {bigint} top */
  jump(top) {
    this.top = clamp(top, rowOf(this.start), rowOf(this.end > 0n ? this.end - 1n : 0n));
    this.upward = null;
    this.draw();
  }

  /** @param {number} count lines, upwards where negative @returns {boolean} whether there is anything that way */
  movable(count) {
    if (count < 0) return this.top > rowOf(this.start);
    const [line] = this.cache.from(this.top, 1);
    return !line || line.end < this.end;
  }

  /** @param {number} count lines, upwards where negative @returns {Promise<void> | null} what is to be waited for */
  move(count) {
    if (count > 0) {
      const known = this.cache.from(this.top, count + 1);
      const target = known.length > count ? known[count].start : known.length ? known[known.length - 1].end : this.top + 16n * BigInt(count);
      if (target < this.end) this.jump(target);
      return null;
    }
    let top = this.top;
    let left = -count;
    for (; left > 0 && top > rowOf(this.start); left -= 1) {
      const line = this.cache.before(top);
      if (!line) break;
      top = line.start;
    }
    this.jump(top);
    return left > 0 && top > rowOf(this.start) ? this.askUpward(top, left) : null;
  }

  /** @param {bigint} top @param {number} lines */
  async askUpward(top, lines) {
    this.upward = { top, lines };
    if (this.pending === "up") return;
    this.pending = "up";
    const space = this.space;
    try {
      const { message, buffers } = await this.wire.ask("lines", { space, at: wire(top), before: true, count: lines + AHEAD, collapse: this.collapse });
      if (this.closed || space !== this.space) return;
      this.cache.add(unpack(message.lines, bytesOf(buffers[0])));
    } catch (e) {
      this.say(String(/** @type {Error} */ (e).message), true);
    } finally {
      this.pending = null;
    }
    const wanted = /** @type {{top: bigint, lines: number} | null} */ (this.upward);
    this.upward = null;
    if (wanted && this.top === wanted.top && this.cache.before(wanted.top)) this.move(-wanted.lines);
    else this.draw();
  }

  /** Draw with the next frame, however often it is asked for until then. */
  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  /** Draw in the frame that is being made: an answer has come that was waited for. */
  drawNow() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.paint();
  }

  paint() {
    if (this.closed) return;
    const lines = this.cache.from(this.top, this.rows);
    const after = lines.length ? lines[lines.length - 1].end : this.top;
    const [low, high] = this.span;
    this.lines.paint(lines, after, { low, high, cursor: this.cursor, end: this.end, base: this.base });
    this.scroll.show(share(this.top, this.start, this.end));
    this.root.dataset.top = wire(this.top);
    this.root.dataset.ready = String(lines.length === this.rows || after >= this.end);
    if (lines.length < this.rows && after < this.end) this.ask(after);
  }

  /** @param {bigint} from */
  async ask(from) {
    if (this.pending) return; // the newest place is asked for when the answer is there
    this.pending = wire(from);
    const space = this.space;
    const collapse = this.collapse;
    try {
      const { message, buffers } = await this.wire.ask("lines", { space, at: wire(from), count: this.rows + AHEAD, collapse });
      if (!this.closed && space === this.space && collapse === this.collapse) {
        this.end = parse(message.end);
        this.cache.add(unpack(message.lines, bytesOf(buffers[0])));
      }
    } catch (e) {
      if (this.live) this.say(String(/** @type {Error} */ (e).message), true);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    } finally {
      this.pending = null;
    }
    this.drawNow();
  }

  /**
   * Go to bytes of any space and select them.
   * @param {string} key @param {bigint} at @param {bigint} size
   */
  async show(key, at, size) {
    if (key !== this.space) await this.enter(key, at, size);
    else this.select(at, at + size, true);
  }

  /** @returns {[bigint, bigint]} first and last byte of the selection */
  get span() {
    return this.cursor < this.anchor ? [this.cursor, this.anchor] : [this.anchor, this.cursor];
  }

  // -- cursor and selection ---------------------------------------------------------------------------------------

  /** @param {bigint} from @param {bigint} to end @param {boolean} reveal */
  select(from, to, reveal) {
    this.cursor = this.within(from);
    this.anchor = to > from ? to - 1n : this.cursor;
    if (reveal) this.reveal();
    this.changed();
  }

  /** @param {boolean} [settled] false while the mouse still moves */
  changed(settled = true) {
    this.draw();
    const [low, last] = this.span;
    const high = last + 1n;
    const size = high - low;
    this.say(`${shown(this.cursor, this.end, this.base)}${size > 1n ? ` · ${size} bytes selected (${shown(low, this.end, this.base)} up to ${shown(high, this.end, this.base)})` : ""} · ${humanSize(this.end - this.start)}`);
    if (!settled) return;
    this.restLater();
  }

  /** What is said of the cursor can wait until it rests; the lines of the next place cannot. */
  restLater() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => (this.going || this.pending ? this.restLater() : this.rest()), REST);
  }

  /** Tell Python where the cursor is, name the field under it, and show what its bytes could be. */
  rest() {
    const [low, last] = this.span;
    const high = last + 1n;
    this.model.set("address", wire(this.cursor));
    this.model.set("selection", high - low > 1n ? [wire(low), wire(high)] : []);
    this.model.save_changes();
    this.name();
    this.look();
    this.root.dataset.resting = wire(this.cursor);
  }

  /** Select on while the mouse is held above or below the lines. @param {number} lines */
  drawOut(lines) {
    this.move(lines);
    const known = this.cache.from(this.top, this.rows);
    if (!known.length) return;
    const last = known[known.length - 1];
    this.cursor = lines < 0 ? known[0].start : this.within(last.end - 1n);
    this.changed(false);
  }

  reveal() {
    const lines = this.cache.from(this.top, this.rows);
    const here = lines.find((l) => this.cursor >= l.start && this.cursor < l.end);
    if (here && here.kind === ROW && lines.length >= Math.min(this.rows, 2)) return; // its bytes are on screen
    const above = rowOf(this.cursor) - 16n * BigInt(Math.floor(this.rows / 4));
    this.jump(above < rowOf(this.start) ? rowOf(this.start) : this.cache.byStart.has(above) ? above : rowOf(this.cursor));
  }

  /** Name the field under the cursor. */
  async name() {
    if (this.side.hidden || this.tree.space !== this.space) {
      this.field.textContent = "";
      return;
    }
    const space = this.space;
    const at = this.cursor;
    const [low, last] = this.span;
    const path = await this.tree.locate(space, wire(at), [wire(low), wire(last + 1n)]);
    if (space === this.space && at === this.cursor) this.field.textContent = sentence(path) || " ";
  }

  /** Show what the bytes at the cursor could be. */
  async look() {
    const at = this.cursor;
    const low = at < this.anchor ? at : this.anchor;
    if (low >= this.end) return;
    const size = this.end - low < 16n ? Number(this.end - low) : 16;
    let bytes = this.cache.bytesAt(low, size);
    try {
      bytes ??= bytesOf((await this.wire.ask("bytes", { space: this.space, at: wire(low), size })).buffers[0]);
    } catch {
      return;
    }
    if (at !== this.cursor || this.closed) return;
    this.inspector.show(bytes);
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    const to = moved(e.key, e.ctrlKey || e.metaKey, { cursor: this.cursor, start: this.start, end: this.end, rows: this.rows, line: this.lines.at(this.cursor) });
    if (!to) return;
    e.preventDefault();
    e.stopPropagation();
    if (to.lines) {
      this.page(to, e.shiftKey);
      return;
    }
    this.cursor = to.cursor;
    if (!e.shiftKey) this.anchor = this.cursor;
    this.follow();
    this.changed();
  }

  /**
   * Move by a screen: the cursor stays on its line of the screen, as far as there is a screen to move by.
   * @param {{cursor: bigint, lines: number}} to @param {boolean} extend the selection
   */
  async page(to, extend) {
    const on = this.cache.from(this.top, this.rows).findIndex((l) => this.cursor >= l.start && this.cursor < l.end);
    const [top, column] = [this.top, this.cursor % 16n];
    await this.move(to.lines);
    const line = this.cache.from(this.top, this.rows)[on];
    if (on < 0 || top === this.top) this.cursor = to.cursor;
    else if (!line) this.cursor = this.top + 16n * BigInt(on) + column;
    else this.cursor = line.kind === ROW ? line.start + column : line.start;
    this.cursor = this.within(this.cursor);
    if (!extend) this.anchor = this.cursor;
    this.follow();
    this.changed();
  }

  /** Keep the cursor on screen, moving as little as possible. */
  follow() {
    const lines = this.cache.from(this.top, this.rows);
    if (!lines.length || this.cursor < this.top) {
      const before = this.cache.before(this.top);
      this.jump(before && this.cursor >= before.start ? before.start : rowOf(this.cursor));
      return;
    }
    const last = lines[lines.length - 1];
    if (this.cursor < last.end) return;
    if (this.cursor < last.end + 16n && lines.length > 1) this.jump(lines[1].start);
    else this.reveal();
  }

  /** @param {KeyboardEvent} e @returns {boolean} */
  shortcut(e) {
    const control = e.ctrlKey || e.metaKey;
    const typing = /** @type {HTMLElement} */ (e.target).tagName === "INPUT";
    if (control && e.key === "g") this.go.focus();
    else if (control && e.key === "f") this.finder.needle.focus();
    else if (control && e.key === "b") this.bookmarks.mark();
    else if (control && e.key === "c" && !typing) this.copy("hex");
    else if (e.key === "F3") this.finder.find(e.shiftKey);
    else return false;
    return true;
  }

  // -- go to, find, copy, bookmarks -------------------------------------------------------------------------------

  /** @param {string} text */
  async goto(text) {
    this.going += 1;
    try {
      const collapse = this.collapse;
      const { message, buffers } = await this.wire.ask("goto", { text, space: this.space, at: wire(this.cursor), count: this.rows + AHEAD, collapse });
      const at = parse(message.at);
      if (message.key === this.space && collapse === this.collapse) this.cache.add(unpack(message.lines, bytesOf(buffers[0])));
      await this.show(message.key, at, BigInt(message.size));
      this.drawNow();
      this.grid.focus({ preventScroll: true });
    } catch (e) {
      this.say(String(/** @type {Error} */ (e).message), true);
    } finally {
      this.going -= 1;
    }
  }

  async complete() {
    const prefix = this.go.value;
    if (prefix.length < 2 || /^[+-]?(0x|\d)/.test(prefix)) return;
    const { message } = await this.wire.ask("names", { prefix });
    if (this.go.value === prefix) this.names.replaceChildren(...message.names.map((/** @type {string} */ n) => el("option", { value: n })));
  }

  /** @param {string} text */
  rebase(text) {
    const digits = text.trim().replace(/^0x/i, "");
    if (!/^[0-9a-f]*$/i.test(digits)) {
      this.say("a base is hexadecimal", true);
      return;
    }
    this.base = parse(digits);
    this.model.set("base", digits);
    this.model.save_changes();
    this.draw();
  }

  /** @param {string} form */
  async copy(form) {
    if (!COPY[form]) return;
    const [low, last] = this.span;
    const size = last + 1n - low;
    if (size > MOST_COPIED) {
      this.say(`at most ${humanSize(MOST_COPIED)} are copied at once; core.memory.read, dump.data and extract give any number`, true);
      return;
    }
    try {
      const { buffers, message } = await this.wire.ask("bytes", { space: this.space, at: wire(low), size: Number(size) });
      await toClipboard(COPY[form](bytesOf(buffers[0])));
      this.say(`${size} bytes copied as ${form}${message.gaps.length ? ", zeros where bytes are missing" : ""}`);
    } catch (e) {
      this.say(String(/** @type {Error} */ (e).message), true);
    }
  }

  /** @param {string} text @param {boolean} [bad] */
  say(text, bad = false) {
    this.status.textContent = inert(text, 600);
    this.status.classList.toggle("vl-bad", bad);
  }

  close() {
    this.closed = true;
    clearTimeout(this.resting);
    this.finder.stop();
    this.dragging.close();
    this.bookmarks.close();
    dropStyle(this.first);
    this.model.off("change:asked", this.onModel);
    this.wire.close();
    cancelAnimationFrame(this.frame);
  }
}

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el: host }) {
    const pane = new HexPane(model, host);
    return () => pane.close();
  },
};
