var __defProp = Object.defineProperty;
var __defNormalProp = (obj, key, value) => key in obj ? __defProp(obj, key, { enumerable: true, configurable: true, writable: true, value }) : obj[key] = value;
var __publicField = (obj, key, value) => __defNormalProp(obj, typeof key !== "symbol" ? key + "" : key, value);

// src/address.js
var parse = (text) => BigInt("0x" + (text || "0"));
var wire = (address) => address.toString(16);
function shown(address, end, base = 0n) {
  const value = address - base;
  const width = Math.max(8, (end > 0n ? end - 1n : 0n).toString(16).length);
  const digits = (value < 0n ? -value : value).toString(16).padStart(width, "0");
  return value < 0n ? "-" + digits : digits;
}
var clamp = (a, low, high) => a < low ? low : a > high ? high : a;
var rowOf = (a) => a - a % 16n;
function share(a, start, end) {
  const whole = end - start;
  return whole <= 0n ? 0 : Number((a - start) * 1000000000n / whole) / 1e9;
}
function atShare(part, start, end) {
  const millionths = BigInt(Math.round(Math.min(1, Math.max(0, part)) * 1e9));
  return start + (end - start) * millionths / 1000000000n;
}
var UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
function humanSize(size) {
  let unit = 0;
  let value = Number(size);
  while (value >= 1e3 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : size} ${UNITS[unit]}`;
}

// src/dom.js
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== void 0 && value !== null) node.setAttribute(name, String(value));
  }
  node.append(...children);
  return node;
}
function inert(text, most = 4e3) {
  const short = text.length > most ? text.slice(0, most) + "…" : text;
  return short.replace(
    // eslint-disable-next-line no-control-regex -- control characters are what it is about
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0")
  );
}
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

// src/format.js
function byteClass(b) {
  if (b === 0) return "z";
  if (b === 255) return "f";
  if (b >= 32 && b < 127) return "p";
  if (b === 9 || b === 10 || b === 13) return "w";
  return b < 128 ? "c" : "h";
}
var hex2 = (b) => b.toString(16).padStart(2, "0");
var printable = (b) => b >= 32 && b < 127 ? String.fromCharCode(b) : ".";
var COPY = {
  hex: (bytes) => Array.from(bytes, hex2).join(" "),
  text: (bytes) => Array.from(bytes, (b) => b === 10 || b === 9 ? String.fromCharCode(b) : printable(b)).join(""),
  python: (bytes) => 'bytes.fromhex("' + Array.from(bytes, hex2).join("") + '")',
  c: (bytes) => {
    const cells = Array.from(bytes, (b) => "0x" + hex2(b));
    const rows = [];
    for (let i = 0; i < cells.length; i += 12) rows.push("  " + cells.slice(i, i + 12).join(", "));
    return `static const unsigned char data[${bytes.length}] = {
${rows.join(",\n")}
};
`;
  }
};
function inspect(bytes, little) {
  const found = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const n = bytes.byteLength;
  const both = (v) => `${v}  0x${v.toString(16)}`;
  if (n >= 1) found.push(["u8", both(view.getUint8(0))], ["i8", String(view.getInt8(0))]);
  if (n >= 2) found.push(["u16", both(view.getUint16(0, little))], ["i16", String(view.getInt16(0, little))]);
  if (n >= 4) {
    found.push(["u32", both(view.getUint32(0, little))], ["i32", String(view.getInt32(0, little))]);
    found.push(["f32", String(view.getFloat32(0, little))]);
    found.push(["time32", time(BigInt(view.getUint32(0, little)) * 1000n)]);
    const four = [0, 1, 2, 3].map((i) => bytes[little ? 3 - i : i]);
    found.push(["IPv4", four.join(".")]);
  }
  if (n >= 6) found.push(["MAC", Array.from(bytes.slice(0, 6), hex2).map((_, i, all) => all[little ? 5 - i : i]).join(":")]);
  if (n >= 8) {
    const wide = view.getBigUint64(0, little);
    found.push(["u64", both(wide)], ["i64", String(view.getBigInt64(0, little))], ["f64", String(view.getFloat64(0, little))]);
    found.push(["time64", time(wide * 1000n)], ["time64 ns", time(wide / 1000000n)]);
  }
  return found;
}
function time(milliseconds) {
  if (milliseconds > 8640000000000000n) return "–";
  const date = new Date(Number(milliseconds));
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().replace("T", " ").replace("Z", " UTC");
}

// src/lines.js
var ROW = 0;
var SAME = 1;
var GAP = 2;
var MOST = 8192;
function unpack(told, data) {
  let at = 0;
  return told.map(([kind, start, end, missing, reason, more]) => {
    const bytes = kind === GAP ? null : data.subarray(at, at + 16);
    if (kind !== GAP) at += 16;
    return { kind, start: parse(start), end: parse(end), bytes, missing, reason, more };
  });
}
var LineCache = class {
  constructor() {
    this.byStart = /* @__PURE__ */ new Map();
    this.byEnd = /* @__PURE__ */ new Map();
  }
  clear() {
    this.byStart.clear();
    this.byEnd.clear();
  }
  /** @param {Line[]} lines */
  add(lines) {
    for (const line of lines) {
      this.byStart.delete(line.start);
      this.byStart.set(line.start, line);
      this.byEnd.set(line.end, line.start);
    }
    for (const [start, line] of this.byStart) {
      if (this.byStart.size <= MOST) break;
      this.byStart.delete(start);
      if (this.byEnd.get(line.end) === start) this.byEnd.delete(line.end);
    }
  }
  /**
   * The lines from an address on, as far as they are known.
   * @param {bigint} start @param {number} count @returns {Line[]}
   */
  from(start, count) {
    const found = [];
    let line = this.byStart.get(start);
    while (line && found.length < count) {
      found.push(line);
      line = this.byStart.get(line.end);
    }
    return found;
  }
  /** @param {bigint} end @returns {Line | undefined} the line that ends at an address */
  before(end) {
    const start = this.byEnd.get(end);
    return start === void 0 ? void 0 : this.byStart.get(start);
  }
};

// src/tree.js
var Tree = class {
  /**
   * @param {import("./wire.js").Wire} wire
   * @param {{chosen: (node: Told) => void, follow: (node: Told) => void}} told
   */
  constructor(wire2, told) {
    this.wire = wire2;
    this.told = told;
    this.space = "";
    this.turn = 0;
    this.items = /* @__PURE__ */ new Map();
    this.root = el("ul", { class: "vl-tree", role: "tree", "aria-label": "structure", tabindex: 0 });
    this.root.addEventListener("keydown", (e) => this.key(e));
    this.current = "";
  }
  /** @param {string} space */
  async show(space) {
    if (space === this.space) return;
    this.space = space;
    this.items.clear();
    this.root.replaceChildren();
    await this.fill("", this.root, 1);
    if (!this.root.children.length && this.space === space) this.root.append(el("li", { class: "vl-none" }, "no structure is known here"));
  }
  /** True where no structure is known. */
  get empty() {
    return !this.items.size;
  }
  /** @param {string} path @param {HTMLElement} list @param {number} level */
  async fill(path, list, level) {
    const space = this.space;
    let nodes;
    try {
      nodes = (await this.wire.ask("children", { space, path })).message.nodes;
    } catch {
      return;
    }
    if (space !== this.space || list.children.length) return;
    for (const node of nodes) list.append(this.item(node, level));
  }
  /** @param {Told} node @param {number} level */
  item(node, level) {
    const list = el("ul", { role: "group" });
    const mark = el("span", { class: "vl-mark", "aria-hidden": "true" }, node.leaf ? "" : "▸");
    const row = el(
      "div",
      { class: "vl-node", title: inert(`${node.label}: ${node.value}${node.meaning ? "\n" + node.meaning : ""}
0x${node.start} up to 0x${node.end}`) },
      mark,
      el("span", { class: "vl-label" }, inert(node.label)),
      " ",
      el("span", { class: "vl-value" }, inert(node.value))
    );
    if (node.link) {
      row.append(" ", el("button", { class: "vl-link", type: "button", title: "show what is inside, decoded", "aria-label": `open ${inert(node.link)}`, onclick: (e) => {
        e.stopPropagation();
        this.told.follow(node);
      } }, "→"));
    }
    const item = el("li", { role: "treeitem", "aria-level": level, "aria-expanded": node.leaf ? void 0 : "false" }, row, list);
    this.items.set(node.path, { row, list, node, open: false });
    row.addEventListener("click", () => {
      this.mark(node.path);
      this.told.chosen(node);
    });
    mark.addEventListener("click", (e) => {
      e.stopPropagation();
      this.toggle(node.path);
    });
    row.addEventListener("dblclick", () => this.toggle(node.path));
    return item;
  }
  /** @param {string} path @param {boolean} [open] */
  async toggle(path, open) {
    const one = this.items.get(path);
    if (!one || one.node.leaf) return;
    one.open = open === void 0 ? !one.open : open;
    one.row.parentElement?.setAttribute("aria-expanded", String(one.open));
    one.row.firstChild.textContent = one.open ? "▾" : "▸";
    one.list.style.display = one.open ? "" : "none";
    if (one.open && !one.list.children.length) await this.fill(path, one.list, path.split("/").length + 1);
  }
  /** @param {string} path */
  mark(path) {
    this.items.get(this.current)?.row.classList.remove("vl-on");
    this.current = path;
    const one = this.items.get(path);
    if (!one) return;
    one.row.classList.add("vl-on");
    const box = this.root.getBoundingClientRect();
    const at = one.row.getBoundingClientRect();
    if (at.top < box.top || at.bottom > box.bottom) this.root.scrollTop += at.top - box.top - box.height / 3;
  }
  /**
   * Show which fields a byte is in: open the way to the smallest.
   * @param {string} space @param {string} at @returns {Promise<Told[]>}
   */
  async locate(space, at) {
    const turn = ++this.turn;
    let path;
    try {
      path = (await this.wire.ask("at", { space, at })).message.path;
    } catch {
      return [];
    }
    if (turn !== this.turn || space !== this.space) return [];
    for (const node of path.slice(0, -1)) await this.toggle(node.path, true);
    if (turn === this.turn && path.length) this.mark(path[path.length - 1].path);
    return path;
  }
  /** @param {KeyboardEvent} e */
  key(e) {
    const rows = [...this.root.querySelectorAll(".vl-node")].filter((r) => (
      /** @type {HTMLElement} */
      r.offsetParent
    ));
    const here = rows.findIndex((r) => r.classList.contains("vl-on"));
    const paths = new Map([...this.items].map(([path, one]) => [one.row, path]));
    const go = (i) => {
      const row = (
        /** @type {HTMLElement} */
        rows[Math.max(0, Math.min(rows.length - 1, i))]
      );
      const path = paths.get(row);
      if (path === void 0) return;
      this.mark(path);
      const one = this.items.get(path);
      if (one) this.told.chosen(one.node);
    };
    const actions = (
      /** @type {Record<string, () => void>} */
      {
        ArrowDown: () => go(here + 1),
        ArrowUp: () => go(here - 1),
        Home: () => go(0),
        End: () => go(rows.length - 1),
        ArrowRight: () => this.toggle(this.current, true),
        ArrowLeft: () => this.toggle(this.current, false),
        Enter: () => {
          const one = this.items.get(this.current);
          if (one?.node.link) this.told.follow(one.node);
        }
      }
    );
    if (!actions[e.key]) return;
    e.preventDefault();
    e.stopPropagation();
    actions[e.key]();
  }
};
function sentence(path) {
  if (!path.length) return "";
  const last = path[path.length - 1];
  const names = path.map((n) => n.label).join(" › ");
  const size = parse(last.end) - parse(last.start);
  return inert(`${names}${last.value && !last.value.startsWith("struct ") ? " = " + last.value : ""}${last.meaning ? " — " + last.meaning : ""} (${size} byte${size === 1n ? "" : "s"})`, 400);
}

// src/wire.js
var PATIENCE = 3e4;
var Wire = class {
  /** @param {any} model the widget's model */
  constructor(model) {
    this.model = model;
    this.next = 1;
    this.waiting = /* @__PURE__ */ new Map();
    this.prefix = Math.random().toString(36).slice(2, 8);
    this.listener = (message, buffers) => this.received(message, buffers || []);
    model.on("msg:custom", this.listener);
  }
  /**
   * @param {string} op
   * @param {Message} args
   * @param {(m: Message) => void} [progress] called with each answer that is not the last
   * @returns {Promise<Answer> & {id: string}}
   */
  ask(op, args, progress) {
    const id = `${this.prefix}-${this.next++}`;
    const promise = new Promise((resolve, reject) => {
      const timer = progress ? null : setTimeout(() => this.lose(id, "the kernel does not answer"), PATIENCE);
      this.waiting.set(id, { resolve, reject, progress, timer });
      this.model.send({ id, op, ...args });
    });
    return Object.assign(
      /** @type {Promise<Answer>} */
      promise,
      { id }
    );
  }
  /** @param {string} id */
  cancel(id) {
    this.model.send({ op: "cancel", which: id });
  }
  /** @param {Message} message @param {DataView[]} buffers */
  received(message, buffers) {
    const one = this.waiting.get(message.id);
    if (!one) return;
    if (message.ok && one.progress && message.done === false) {
      one.progress(message);
      return;
    }
    this.waiting.delete(message.id);
    clearTimeout(one.timer);
    if (message.ok) one.resolve({ message, buffers });
    else one.reject(new Error(message.error || "no reason given"));
  }
  /** @param {string} id @param {string} why */
  lose(id, why) {
    const one = this.waiting.get(id);
    if (!one) return;
    this.waiting.delete(id);
    one.reject(new Error(why));
  }
  close() {
    this.model.off("msg:custom", this.listener);
    for (const id of [...this.waiting.keys()]) this.lose(id, "closed");
  }
};
var bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

// src/hexview.js
var LINE = 20;
var AHEAD = 24;
var REST = 60;
var MOST_COPIED = 1n << 20n;
var HexPane = class {
  /** @param {any} model @param {HTMLElement} host @param {Wire} [shared] */
  constructor(model, host, shared) {
    /** @type {Tree} */
    __publicField(
      this,
      "tree",
      /** @type {any} */
      null
    );
    /** @type {{node: any, address: any, cells: any[], texts: any[], note: any, line: Line | null}[]} */
    __publicField(this, "lineNodes", []);
    this.model = model;
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
    this.pending = null;
    this.upward = null;
    this.frame = 0;
    this.found = { id: "", text: "" };
    this.released = () => {
    };
    this.closed = false;
    this.live = false;
    this.build(host);
    this.listen();
    this.fromFirst();
    this.enter(this.space, parse(model.get("address")), 0n);
  }
  // -- the page ---------------------------------------------------------------------------------------------------
  /** @param {HTMLElement} host */
  build(host) {
    const label = (text) => ({ "aria-label": text, title: text });
    this.spaces = el("select", { class: "vl-spaces", ...label("space of bytes"), onchange: () => this.enter(this.spaces.value, null, 0n) });
    this.names = el("datalist", { id: `vl-names-${Math.random().toString(36).slice(2)}` });
    this.go = el("input", {
      class: "vl-go",
      placeholder: "go to 0x…, +16, register",
      list: this.names.id,
      ...label("go to an offset (hexadecimal, decimal, +relative) or a name (Ctrl+G)"),
      spellcheck: "false",
      onkeydown: (e) => {
        if (e.key === "Enter") this.goto(this.go.value);
      },
      oninput: () => this.complete()
    });
    this.baseField = el("input", {
      class: "vl-base",
      placeholder: "base 0",
      ...label("address that the offset column counts from, hexadecimal"),
      spellcheck: "false",
      onchange: () => this.rebase(this.baseField.value)
    });
    this.needle = el("input", {
      class: "vl-find",
      placeholder: "find",
      ...label("bytes or text to find (Ctrl+F)"),
      spellcheck: "false",
      onkeydown: (e) => {
        if (e.key === "Enter") this.find(e.shiftKey);
        if (e.key === "Escape") this.stopFinding();
      }
    });
    this.needleKind = el("select", { class: "vl-kind", ...label("what is looked for") }, el("option", { value: "text" }, "text"), el("option", { value: "hex" }, "hex"));
    this.progress = el("progress", { class: "vl-progress", max: 1, value: 0, hidden: true, "aria-label": "search" });
    this.cancel = el("button", { class: "vl-cancel", type: "button", hidden: true, onclick: () => this.stopFinding() }, "stop");
    this.copyAs = el(
      "select",
      { class: "vl-copy", ...label("copy the selection as"), onchange: () => {
        this.copy(this.copyAs.value);
        this.copyAs.value = "";
      } },
      el("option", { value: "" }, "copy…"),
      ...Object.keys(COPY).map((k) => el("option", { value: k }, k === "c" ? "C" : k))
    );
    this.marks = el("select", { class: "vl-marks", ...label("bookmarks"), onchange: () => this.toBookmark() });
    const button = (text, title, action, name = "") => el("button", { type: "button", class: name, ...label(title), onclick: action }, text);
    const bar = el(
      "div",
      { class: "vl-bar", role: "toolbar", "aria-label": "hex view" },
      this.spaces,
      this.go,
      this.names,
      this.baseField,
      el("span", { class: "vl-group" }, this.needle, this.needleKind, button("↑", "find backward (Shift+F3)", () => this.find(true), "vl-prev"), button("↓", "find forward (F3)", () => this.find(false), "vl-next"), this.progress, this.cancel),
      el("span", { class: "vl-group" }, this.copyAs, button("★", "bookmark the selection (Ctrl+B)", () => this.bookmark(), "vl-star"), this.marks),
      el("span", { class: "vl-group" }, this.toggle("≡", "collapse equal rows", "collapse", true), this.toggle("⊞", "structure", "structure", this.model.get("structure")))
    );
    this.tree = new Tree(this.wire, {
      chosen: (node) => this.select(parse(node.start), parse(node.end), true),
      follow: (node) => this.enter(node.link, null, 0n)
    });
    this.grid = el("div", { class: "vl-grid", tabindex: 0, role: "grid", "aria-label": "bytes", "data-lm-suppress-shortcuts": "true", "aria-readonly": "true" });
    this.thumb = el("div", { class: "vl-thumb" });
    this.scroll = el("div", { class: "vl-scroll", role: "scrollbar", "aria-orientation": "vertical", "aria-label": "place in the space", "aria-valuemin": 0, "aria-valuemax": 100 }, this.thumb);
    this.inspector = el("div", { class: "vl-inspect", "aria-label": "data at the cursor" });
    this.status = el("div", { class: "vl-status", role: "status", "aria-live": "polite" });
    this.field = el("div", { class: "vl-field", role: "status", "aria-live": "polite" });
    this.side = el("div", { class: "vl-side" }, this.tree.root);
    this.root = el(
      "div",
      { class: "vl-hex", "data-lm-suppress-shortcuts": "true" },
      bar,
      el("div", { class: "vl-main" }, this.side, el("div", { class: "vl-bytes" }, this.grid, this.scroll)),
      this.field,
      this.inspector,
      this.status
    );
    this.side.hidden = !this.model.get("structure");
    host.append(this.root);
    this.resize(this.rows);
  }
  /** @param {string} text @param {string} title @param {string} name @param {boolean} on */
  toggle(text, title, name, on) {
    const node = el("button", { type: "button", class: `vl-toggle vl-${name}`, "aria-pressed": String(!!on), title, "aria-label": title, onclick: () => {
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
    this.grid.style.height = `${rows * LINE}px`;
    this.side.style.maxHeight = `${rows * LINE}px`;
    this.grid.replaceChildren();
    this.lineNodes = Array.from({ length: rows }, (_, i) => {
      const address = el("span", { class: "vl-at", role: "rowheader" });
      const cells = Array.from({ length: 16 }, (_2, c) => el("span", { class: "vl-b", role: "gridcell", "data-c": c }));
      const texts = Array.from({ length: 16 }, (_2, c) => el("span", { class: "vl-t", "data-c": c, "aria-hidden": "true" }));
      const note = el("span", { class: "vl-note" });
      const hex = el("span", { class: "vl-cells" }, ...cells);
      const text = el("span", { class: "vl-text", "aria-hidden": "true" }, ...texts);
      const node = el("div", { class: "vl-line", role: "row", "aria-rowindex": i + 1 }, address, hex, text, note);
      node.style.height = `${LINE}px`;
      this.grid.append(node);
      return { node, address, cells, texts, note, line: null };
    });
  }
  listen() {
    this.grid.addEventListener("wheel", (e) => {
      e.preventDefault();
      e.stopPropagation();
      const lines = Math.sign(e.deltaY) * Math.max(1, Math.round(Math.abs(e.deltaMode === 1 ? e.deltaY : e.deltaY / LINE)));
      this.move(lines);
    }, { passive: false });
    this.grid.addEventListener("keydown", (e) => this.key(e));
    this.root.addEventListener("keydown", (e) => {
      if (this.shortcut(e)) e.preventDefault();
      e.stopPropagation();
    });
    let dragging = false;
    this.grid.addEventListener("mousedown", (e) => {
      const at = this.under(e);
      if (at === null || e.button !== 0) return;
      e.preventDefault();
      this.grid.focus();
      dragging = true;
      this.cursor = at;
      if (!e.shiftKey) this.anchor = at;
      this.changed();
    });
    this.grid.addEventListener("mousemove", (e) => {
      if (!dragging) return;
      const at = this.under(e);
      if (at !== null && at !== this.cursor) {
        this.cursor = at;
        this.changed(false);
      }
    });
    this.released = () => {
      if (dragging) this.changed();
      dragging = false;
    };
    window.addEventListener("mouseup", this.released);
    let held = false;
    const drag = (e) => {
      const box = this.scroll.getBoundingClientRect();
      this.jump(rowOf(atShare((e.clientY - box.top) / box.height, this.start, this.end)));
    };
    this.scroll.addEventListener("pointerdown", (e) => {
      held = true;
      this.scroll.setPointerCapture(e.pointerId);
      drag(e);
    });
    this.scroll.addEventListener("pointermove", (e) => held && drag(e));
    this.scroll.addEventListener("pointerup", () => held = false);
    this.onModel = () => {
      const space = this.model.get("space");
      const address = parse(this.model.get("address"));
      if (space !== this.space) this.enter(space, address, 0n);
      else if (address !== this.cursor) this.select(address, this.selectedEnd(address), true);
    };
    this.model.on("change:address change:space", this.onModel);
    this.onMarks = () => this.listBookmarks();
    this.model.on("change:bookmarks", this.onMarks);
    this.listBookmarks();
  }
  /** @param {bigint} address */
  selectedEnd(address) {
    const [from, to] = (this.model.get("selection") || []).map(parse);
    return from === address && to > from ? to : address + 1n;
  }
  /** @param {MouseEvent} e @returns {bigint | null} */
  under(e) {
    const target = (
      /** @type {HTMLElement} */
      e.target
    );
    const index = this.lineNodes.findIndex((l) => l.node.contains(target));
    if (index < 0) return null;
    const one = this.lineNodes[index];
    const line = one.line;
    if (!line) return null;
    if (line.kind !== ROW) return line.start;
    const c = target.dataset?.c;
    const at = line.start + BigInt(c === void 0 ? 0 : c);
    return at < this.end ? at : this.end - 1n;
  }
  // -- where we are -----------------------------------------------------------------------------------------------
  /** What the widget carries for pages without a kernel is drawn at once; a live kernel then says more. */
  fromFirst() {
    const first = this.model.get("first");
    if (!first || !first.lines || first.key !== this.space) return;
    this.start = parse(first.start);
    this.end = parse(first.end);
    const data = Uint8Array.from(first.data.match(/../g) || [], (b) => parseInt(b, 16));
    const lines = unpack(first.lines, data);
    this.cache.add(lines);
    if (lines.length) this.top = lines[0].start;
    this.cursor = this.anchor = parse(this.model.get("address"));
    this.spaces.append(el("option", { value: first.key }, inert(first.title)));
    this.draw();
  }
  /**
   * @param {string} key @param {bigint | null} at @param {bigint} size
   */
  async enter(key, at, size) {
    let extent;
    const before = this.space;
    try {
      this.space = key;
      this.model.set("space", key);
      this.model.save_changes();
      extent = (await this.wire.ask("spaces", {})).message;
    } catch (e) {
      this.space = before;
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
      return;
    }
    if (this.closed || extent.key !== key) return;
    this.live = true;
    this.hideFirst();
    this.start = parse(extent.start);
    this.end = parse(extent.end);
    this.spaces.replaceChildren(...extent.spaces.map(([k, title]) => el("option", { value: k }, inert(title))));
    this.spaces.value = key;
    if (before !== key) this.cache.clear();
    const place = at === null ? this.start : clamp(at, this.start, this.end > 0n ? this.end - 1n : 0n);
    this.cursor = this.anchor = place;
    const [from, to] = (this.model.get("selection") || []).map(parse);
    if (from === place && to > from && at !== null) this.anchor = to - 1n;
    if (size > 1n) this.anchor = place + size - 1n;
    this.jump(rowOf(place));
    this.changed();
    if (!this.side.hidden) await this.tree.show(key);
    this.side.classList.toggle("vl-bare", this.tree.empty);
    this.name();
  }
  /** The first screen for pages without a kernel is not needed where one answers. */
  hideFirst() {
    for (const node of document.querySelectorAll(`.vl-first-${this.model.get("mark")}`)) {
      (node.closest(".jp-OutputArea-child") || node).style.display = "none";
    }
  }
  /** @param {bigint} top */
  jump(top) {
    this.top = clamp(top, rowOf(this.start), rowOf(this.end > 0n ? this.end - 1n : 0n));
    this.upward = null;
    this.draw();
  }
  /** @param {number} count lines, upwards where negative */
  move(count) {
    if (count > 0) {
      const known = this.cache.from(this.top, count + 1);
      const target = known.length > count ? known[count].start : known.length ? known[known.length - 1].end : this.top + 16n * BigInt(count);
      if (target < this.end) this.jump(target);
      return;
    }
    let top = this.top;
    let left = -count;
    for (; left > 0 && top > rowOf(this.start); left -= 1) {
      const line = this.cache.before(top);
      if (!line) break;
      top = line.start;
    }
    this.jump(top);
    if (left > 0 && top > rowOf(this.start)) this.askUpward(top, left);
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
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
    } finally {
      this.pending = null;
    }
    const wanted = (
      /** @type {{top: bigint, lines: number} | null} */
      this.upward
    );
    this.upward = null;
    if (wanted && this.top === wanted.top && this.cache.before(wanted.top)) this.move(-wanted.lines);
    else this.draw();
  }
  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }
  paint() {
    if (this.closed) return;
    const lines = this.cache.from(this.top, this.rows);
    const after = lines.length ? lines[lines.length - 1].end : this.top;
    for (let i = 0; i < this.rows; i += 1) {
      const place = after + 16n * BigInt(i - lines.length);
      this.paintLine(this.lineNodes[i], lines[i] || null, i < lines.length ? lines[i].start : place < this.end ? place : null);
    }
    const part = share(this.top, this.start, this.end);
    this.thumb.style.top = `calc(${(part * 100).toFixed(4)}% - ${(part * 28).toFixed(2)}px)`;
    this.scroll.setAttribute("aria-valuenow", (part * 100).toFixed(3));
    this.root.dataset.top = wire(this.top);
    this.root.dataset.ready = String(lines.length === this.rows || after >= this.end);
    if (lines.length < this.rows && after < this.end) this.ask(after);
  }
  /** @param {bigint} from */
  async ask(from) {
    if (this.pending) return;
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
      if (this.live) this.say(String(
        /** @type {Error} */
        e.message
      ), true);
      await new Promise((resolve) => setTimeout(resolve, 1e3));
    } finally {
      this.pending = null;
    }
    this.draw();
  }
  /**
   * @param {any} one a line's elements @param {Line | null} line @param {bigint | null} start where the line is or will be
   */
  paintLine(one, line, start) {
    one.line = line;
    one.node.className = "vl-line" + (line ? ["", " vl-same", " vl-gap"][line.kind] : start === null ? " vl-empty" : " vl-late");
    one.address.textContent = start === null ? "" : shown(start, this.end, this.base);
    const low = this.cursor < this.anchor ? this.cursor : this.anchor;
    const high = this.cursor < this.anchor ? this.anchor : this.cursor;
    if (line && line.kind !== ROW) {
      const size = line.end - line.start;
      one.note.textContent = line.kind === SAME ? `${size / 16n} more rows like it (${humanSize(size)})${line.more ? " and maybe more" : ""}` : `${inert(line.reason, 60)}: ${humanSize(size)}${line.more ? " or more" : ""}, up to ${shown(line.end, this.end, this.base)}`;
      one.node.classList.toggle("vl-sel", low < line.end && high >= line.start);
    } else one.note.textContent = "";
    const bytes = line && line.kind === ROW ? line.bytes : null;
    for (let c = 0; c < 16; c += 1) {
      const cell = one.cells[c];
      const text = one.texts[c];
      const at = (start || 0n) + BigInt(c);
      const beyond = !line || line.kind !== ROW || at >= line.end;
      const gone = !!bytes && !!line && (line.missing >> c & 1) === 1;
      const b = bytes ? bytes[c] : 0;
      const on = !beyond && at >= low && at <= high ? " vl-sel" : "";
      const here = !beyond && at === this.cursor ? " vl-cur" : "";
      cell.textContent = beyond ? line || start === null ? "" : "··" : gone ? "··" : hex2(b);
      text.textContent = beyond || gone ? "" : printable(b);
      const kind = beyond || gone ? "g" : byteClass(b);
      cell.className = `vl-b vl-${kind}${on}${here}`;
      text.className = `vl-t vl-${kind}${on}${here}`;
      if (here) {
        cell.setAttribute("aria-selected", "true");
        cell.setAttribute("aria-label", `${shown(at, this.end, this.base)}: ${gone ? "missing" : hex2(b)}`);
      } else if (cell.hasAttribute("aria-selected")) {
        cell.removeAttribute("aria-selected");
        cell.removeAttribute("aria-label");
      }
    }
  }
  /**
   * Go to bytes of any space and select them.
   * @param {string} key @param {bigint} at @param {bigint} size
   */
  async show(key, at, size) {
    if (key !== this.space) await this.enter(key, at, size);
    else this.select(at, at + size, true);
  }
  // -- cursor and selection ---------------------------------------------------------------------------------------
  /** @param {bigint} from @param {bigint} to end @param {boolean} reveal */
  select(from, to, reveal) {
    this.cursor = clamp(from, this.start, this.end > 0n ? this.end - 1n : 0n);
    this.anchor = to > from ? to - 1n : this.cursor;
    if (reveal) this.reveal();
    this.changed();
  }
  /** @param {boolean} [settled] false while the mouse still moves */
  changed(settled = true) {
    this.draw();
    const low = this.cursor < this.anchor ? this.cursor : this.anchor;
    const high = (this.cursor < this.anchor ? this.anchor : this.cursor) + 1n;
    const size = high - low;
    this.say(`${shown(this.cursor, this.end, this.base)}${size > 1n ? ` · ${size} bytes selected (${shown(low, this.end, this.base)} up to ${shown(high, this.end, this.base)})` : ""} · ${humanSize(this.end - this.start)}`);
    if (!settled) return;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), REST);
  }
  /** Tell Python where the cursor is, name the field under it, and show what its bytes could be. */
  rest() {
    const low = this.cursor < this.anchor ? this.cursor : this.anchor;
    const high = (this.cursor < this.anchor ? this.anchor : this.cursor) + 1n;
    this.model.set("address", wire(this.cursor));
    this.model.set("selection", high - low > 1n ? [wire(low), wire(high)] : []);
    this.model.save_changes();
    this.name();
    this.look();
  }
  reveal() {
    const lines = this.cache.from(this.top, this.rows);
    const here = lines.find((l) => this.cursor >= l.start && this.cursor < l.end);
    if (here && here.kind === ROW && lines.length >= Math.min(this.rows, 2)) return;
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
    const path = await this.tree.locate(space, wire(at));
    if (space === this.space && at === this.cursor) this.field.textContent = sentence(path) || " ";
  }
  /** Show what the bytes at the cursor could be. */
  async look() {
    const at = this.cursor;
    const low = at < this.anchor ? at : this.anchor;
    if (low >= this.end) return;
    let bytes;
    try {
      const size = this.end - low < 16n ? Number(this.end - low) : 16;
      bytes = bytesOf((await this.wire.ask("bytes", { space: this.space, at: wire(low), size })).buffers[0]);
    } catch {
      return;
    }
    if (at !== this.cursor || this.closed) return;
    const table = (title, little) => el("table", {}, el("caption", {}, title), ...inspect(bytes, little).map(([kind, value]) => el("tr", {}, el("th", { scope: "row" }, kind), el("td", {}, value))));
    this.inspector.replaceChildren(table("little endian", true), table("big endian", false));
  }
  /** @param {KeyboardEvent} e */
  key(e) {
    const page = this.rows - 1;
    const line = this.lineNodes.find((l) => l.line && this.cursor >= l.line.start && this.cursor < l.line.end)?.line;
    const down = line && line.kind !== ROW ? line.end - this.cursor : 16n;
    const up = line && line.kind !== ROW ? this.cursor - line.start + 16n : 16n;
    const last = this.end > 0n ? this.end - 1n : 0n;
    const moves = {
      ArrowRight: () => this.cursor + (line && line.kind !== ROW ? down : 1n),
      ArrowLeft: () => this.cursor - 1n,
      ArrowDown: () => this.cursor + down,
      ArrowUp: () => this.cursor - up,
      PageDown: () => {
        this.move(page);
        return this.cursor + 16n * BigInt(page);
      },
      PageUp: () => {
        this.move(-page);
        return this.cursor - 16n * BigInt(page);
      },
      Home: () => e.ctrlKey ? this.start : rowOf(this.cursor),
      End: () => e.ctrlKey ? last : rowOf(this.cursor) + 15n
    };
    if (!moves[e.key]) return;
    e.preventDefault();
    e.stopPropagation();
    this.cursor = clamp(moves[e.key](), this.start, last);
    if (!e.shiftKey) this.anchor = this.cursor;
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
    const typing = (
      /** @type {HTMLElement} */
      e.target.tagName === "INPUT"
    );
    if (control && e.key === "g") this.go.focus();
    else if (control && e.key === "f") this.needle.focus();
    else if (control && e.key === "b") this.bookmark();
    else if (control && e.key === "c" && !typing) this.copy("hex");
    else if (e.key === "F3") this.find(e.shiftKey);
    else return false;
    return true;
  }
  // -- go to, find, copy, bookmarks -------------------------------------------------------------------------------
  /** @param {string} text */
  async goto(text) {
    try {
      const collapse = this.collapse;
      const { message, buffers } = await this.wire.ask("goto", { text, space: this.space, at: wire(this.cursor), count: this.rows + AHEAD, collapse });
      const at = parse(message.at);
      if (message.key === this.space && collapse === this.collapse) this.cache.add(unpack(message.lines, bytesOf(buffers[0])));
      await this.show(message.key, at, BigInt(message.size));
      this.grid.focus();
    } catch (e) {
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
    }
  }
  async complete() {
    const prefix = this.go.value;
    if (prefix.length < 2 || /^[+-]?(0x|\d)/.test(prefix)) return;
    const { message } = await this.wire.ask("names", { prefix });
    if (this.go.value === prefix) this.names.replaceChildren(...message.names.map((n) => el("option", { value: n })));
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
  /** @param {boolean} backward */
  async find(backward) {
    const text = this.needle.value;
    if (!text) {
      this.needle.focus();
      return;
    }
    this.stopFinding();
    const low = this.cursor < this.anchor ? this.cursor : this.anchor;
    const again = this.found.text === text ? 1n : 0n;
    const at = backward ? low : low + again;
    this.progress.hidden = this.cancel.hidden = false;
    this.progress.value = 0;
    const asked = this.wire.ask("find", { space: this.space, at: wire(at), text, kind: this.needleKind.value, backward }, (m) => {
      this.progress.value = m.part;
    });
    this.found = { id: asked.id, text };
    try {
      const { message } = await asked;
      if (message.at === void 0) this.say(`${inert(text, 40)}: not found`, true);
      else {
        const place = parse(message.at);
        this.select(place, place + BigInt(message.size), true);
        if (message.wrapped) this.say(`found at ${shown(place, this.end, this.base)}, around the end`);
      }
    } catch (e) {
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
    } finally {
      if (this.found.id === asked.id) {
        this.found.id = "";
        this.progress.hidden = this.cancel.hidden = true;
      }
    }
  }
  stopFinding() {
    if (this.found.id) this.wire.cancel(this.found.id);
  }
  /** @param {string} form */
  async copy(form) {
    if (!COPY[form]) return;
    const low = this.cursor < this.anchor ? this.cursor : this.anchor;
    const size = (this.cursor < this.anchor ? this.anchor : this.cursor) + 1n - low;
    if (size > MOST_COPIED) {
      this.say(`at most ${humanSize(MOST_COPIED)} are copied at once; core.memory.read, dump.data and extract give any number`, true);
      return;
    }
    try {
      const { buffers, message } = await this.wire.ask("bytes", { space: this.space, at: wire(low), size: Number(size) });
      await toClipboard(COPY[form](bytesOf(buffers[0])));
      this.say(`${size} bytes copied as ${form}${message.gaps.length ? ", zeros where bytes are missing" : ""}`);
    } catch (e) {
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
    }
  }
  bookmark() {
    const name = `${shown(this.cursor, this.end, this.base)} ${this.field.textContent?.split(" = ")[0] || ""}`.trim().slice(0, 80);
    this.model.set("bookmarks", [...this.model.get("bookmarks"), [this.space, wire(this.cursor), name]]);
    this.model.save_changes();
    this.listBookmarks();
    this.say(`bookmarked ${name}`);
  }
  listBookmarks() {
    const marks = this.model.get("bookmarks") || [];
    this.marks.replaceChildren(el("option", { value: "" }, marks.length ? `${marks.length} ★` : "no ★"), ...marks.map((m, i) => el("option", { value: i }, inert(`${m[2]} (${m[0]})`, 100))));
    this.marks.disabled = !marks.length;
  }
  async toBookmark() {
    const mark = this.model.get("bookmarks")[Number(this.marks.value)];
    this.marks.value = "";
    if (!mark) return;
    await this.show(mark[0], parse(mark[1]), 1n);
  }
  /** @param {string} text @param {boolean} [bad] */
  say(text, bad = false) {
    this.status.textContent = inert(text, 600);
    this.status.classList.toggle("vl-bad", bad);
  }
  close() {
    this.closed = true;
    clearTimeout(this.resting);
    this.stopFinding();
    window.removeEventListener("mouseup", this.released);
    this.model.off("change:address change:space", this.onModel);
    this.model.off("change:bookmarks", this.onMarks);
    this.wire.close();
    cancelAnimationFrame(this.frame);
  }
};

// src/table.js
var ROW2 = 24;
var AHEAD2 = 20;
var TALLEST = 8e6;
var VirtualTable = class {
  /**
   * @param {import("./wire.js").Wire} wire
   * @param {{chosen: (row: number, query: Record<string, any>) => void, told: (message: any) => void}} events
   * @param {boolean} [sortable] whether a click on a title sorts
   */
  constructor(wire2, events, sortable = true) {
    this.sortable = sortable;
    this.wire = wire2;
    this.events = events;
    this.query = /** @type {Record<string, any>} */
    { name: "", filter: "", sort: null, down: false };
    this.known = /* @__PURE__ */ new Map();
    this.total = 0;
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
    this.scroller.addEventListener("keydown", (e) => this.key(e));
    this.frame = 0;
  }
  /** @param {Record<string, any>} query */
  show(query) {
    this.query = { ...this.query, ...query };
    this.turn += 1;
    this.known.clear();
    this.asking = false;
    this.current = -1;
    this.total = -1;
    this.scroller.scrollTop = 0;
    this.ask(0);
  }
  /** @param {any} message */
  take(message) {
    this.total = message.total;
    message.rows.forEach((row, i) => this.known.set(message.from + i, row));
    if (this.known.size > 5e3) for (const key of [...this.known.keys()].slice(0, 2e3)) this.known.delete(key);
    this.columns = message.columns;
    this.titles();
    this.room.style.height = `${Math.min(TALLEST, this.total * ROW2)}px`;
    this.scroller.setAttribute("aria-rowcount", String(this.total));
    this.events.told(message);
    this.draw();
  }
  titles() {
    const text = this.columns.map((c) => c[0]).join("|") + this.query.sort + this.query.down;
    if (this.head.dataset.text === text) return;
    this.head.dataset.text = text;
    const wide = this.columns.reduce((best, c, i) => !c[2] && c[3] >= (best < 0 ? 0 : this.columns[best][3]) ? i : best, -1);
    this.scroller.style.setProperty("--vl-columns", this.columns.map((c, i) => i === wide ? `minmax(calc(${c[3]}ch + 18px), 1fr)` : `calc(${c[3]}ch + 18px)`).join(" "));
    this.scroller.style.setProperty("--vl-wide", `calc(${this.columns.reduce((sum, c) => sum + c[3], 0)}ch + ${18 * this.columns.length}px)`);
    this.head.replaceChildren(...this.columns.map(([name, doc, number]) => el(
      "span",
      {
        class: "vl-td" + (number ? " vl-num" : ""),
        role: "columnheader",
        title: inert(doc),
        tabindex: 0,
        "aria-sort": this.query.sort === name ? this.query.down ? "descending" : "ascending" : "none",
        onclick: () => this.sortable && this.show({ sort: this.query.sort === name && this.query.down ? null : name, down: this.query.sort === name && !this.query.down }),
        onkeydown: (e) => {
          if (e.key === "Enter") e.target.click();
        }
      },
      inert(name) + (this.query.sort === name ? this.query.down ? " ▾" : " ▴" : "")
    )));
  }
  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }
  get visible() {
    return Math.ceil(this.scroller.clientHeight / ROW2) + 1;
  }
  get first() {
    const tall = this.total * ROW2;
    if (tall <= TALLEST) return Math.floor(this.scroller.scrollTop / ROW2);
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
    this.body.style.top = `${this.total * ROW2 <= TALLEST ? first * ROW2 : this.scroller.scrollTop}px`;
    this.body.replaceChildren(...rows);
    if (lacking >= 0) this.ask(lacking);
  }
  /** @param {number} i @param {string[] | undefined} cells */
  row(i, cells) {
    const severity = cells && ["critical", "error", "warning", "info"].find((s) => cells.includes(s));
    return el(
      "div",
      {
        class: "vl-tr" + (i === this.current ? " vl-on" : "") + (severity ? ` vl-s-${severity}` : ""),
        role: "row",
        "aria-rowindex": i + 1,
        "aria-selected": String(i === this.current),
        "data-row": i,
        onclick: () => this.choose(i)
      },
      ...cells ? cells.map((c, k) => el("span", { class: "vl-td" + (this.columns[k] && this.columns[k][2] ? " vl-num" : ""), role: "gridcell", title: c.length > 40 ? inert(c, 1e3) : void 0 }, inert(c, 400))) : [el("span", { class: "vl-td" }, "…")]
    );
  }
  /** @param {number} from */
  async ask(from) {
    if (this.asking) return;
    this.asking = true;
    const turn = this.turn;
    try {
      const { message } = await this.wire.ask("rows", { ...this.query, from: Math.max(0, from - 5), count: this.visible + 2 * AHEAD2 });
      if (turn === this.turn) {
        this.asking = false;
        this.take(message);
      }
    } catch (e) {
      if (turn === this.turn) {
        this.asking = false;
        this.total = 0;
        this.room.style.height = "0px";
        this.body.replaceChildren();
        this.events.told({ error: String(
          /** @type {Error} */
          e.message
        ), total: 0, all: 0 });
      }
    }
  }
  /** @param {number} i */
  choose(i) {
    if (i < 0 || i >= this.total) return;
    this.current = i;
    const top = this.scroller.scrollTop;
    const room = this.scroller.clientHeight - 2 * ROW2;
    if (this.total * ROW2 <= TALLEST && (i * ROW2 < top || i * ROW2 > top + room)) this.scroller.scrollTop = Math.max(0, i * ROW2 - room / 2);
    this.draw();
    this.events.chosen(i, this.query);
  }
  /** @param {KeyboardEvent} e */
  key(e) {
    const steps = (
      /** @type {Record<string, number>} */
      { ArrowDown: 1, ArrowUp: -1, PageDown: this.visible - 2, PageUp: 2 - this.visible, Home: -1e12, End: 1e12 }
    );
    if (steps[e.key] === void 0) return;
    e.preventDefault();
    e.stopPropagation();
    this.choose(Math.max(0, Math.min(this.total - 1, this.current + steps[e.key])));
  }
};

// src/timeaxis.js
var Axis = class {
  /** @param {{name: string, unit: string, note: string, origin: string, max: number}} told */
  constructor(told) {
    this.name = told.name;
    this.unit = told.unit;
    this.note = told.note;
    this.origin = BigInt(told.origin);
    this.full = told.max > 0 ? told.max * 1.06 : 1;
    this.low = 0;
    this.high = 1;
    this.all();
  }
  all() {
    this.low = -this.full * 0.03;
    this.high = this.full * 1.02;
  }
  /** @param {number} x @param {number} left @param {number} width @returns {number} pixels */
  at(x, left, width) {
    return left + (x - this.low) / (this.high - this.low) * width;
  }
  /** @param {number} pixel @param {number} left @param {number} width */
  under(pixel, left, width) {
    return this.low + (pixel - left) / width * (this.high - this.low);
  }
  /** Make what is shown larger or smaller around a place. @param {number} factor below 1 zooms in @param {number} x */
  zoom(factor, x) {
    const least = this.unit === "s" ? 1e3 : 2;
    const span = Math.min(Math.max((this.high - this.low) * factor, least), this.full * 1.2);
    const part = (x - this.low) / (this.high - this.low);
    this.low = x - part * span;
    this.high = this.low + span;
    this.keep();
  }
  /** @param {number} by in units of the axis */
  pan(by) {
    this.low += by;
    this.high += by;
    this.keep();
  }
  keep() {
    const span = this.high - this.low;
    const low = Math.min(Math.max(this.low, -this.full * 0.1), Math.max(this.full * 1.1 - span, -this.full * 0.1));
    this.low = low;
    this.high = low + span;
  }
  /** Show a place. @param {number} x */
  reveal(x) {
    if (x >= this.low && x <= this.high) return;
    const half = (this.high - this.low) / 2;
    this.low = x - half;
    this.high = x + half;
    this.keep();
  }
  /** @param {number} width pixels @returns {{x: number, text: string}[]} */
  marks(width) {
    const scale = this.unit === "s" ? 1e9 : 1;
    const [low, high] = [this.low / scale, this.high / scale];
    const step = niceStep((high - low) / Math.max(2, width / 110));
    const origin = Number(this.origin) / scale;
    const digits = Math.min(9, Math.max(0, -Math.floor(Math.log10(step))));
    const found = [];
    for (let n = Math.ceil((low + origin) / step); n * step <= high + origin && found.length < 60; n += 1) {
      const value = n * step;
      const text = this.unit === "s" ? value.toFixed(digits) : grouped(BigInt(Math.round(value)));
      found.push({ x: (value - origin) * scale, text });
    }
    return found;
  }
};
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((n) => n * power >= least) || 10);
}
var grouped = (value) => value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
function firstNotBelow(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = low + high >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// src/timecanvas.js
var LANE = 40;
var GAP2 = 34;
var LEFT = 168;
var RIGHT = 14;
var NOWHERE = 65535;
var REACH = 6;
var LIGHT = ["#882255", "#882255", "#aa3377", "#cc3311", "#e0661f", "#008577", "#0077bb", "#8a96a0", "#607d8b"];
var DARK = ["#f07ab8", "#f07ab8", "#ee88c0", "#ff7059", "#ffa860", "#4fd1bf", "#62b5f0", "#7f8b96", "#90a4ae"];
var HEIGHT = [0.84, 0.84, 0.76, 0.68, 0.54, 0.42, 0.34, 0.24, 0.3];
var DOT = [4, 4, 3.6, 3.2, 2.4, 0, 0, 0, 0];
var Picture = class {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.axes = [];
    this.lanes = [];
    this.placed = [];
    this.mask = null;
    this.x = new Float64Array(0);
    this.doubt = new Float32Array(0);
    this.lane = new Uint16Array(0);
    this.level = new Uint8Array(0);
    this.chosen = -1;
    this.hovered = -1;
    this.tying = -1;
    this.height = 0;
    this.axisTop = [];
  }
  /**
   * @param {any} told axes and lanes @param {Uint8Array[]} columns x, doubt, lane, level
   */
  take(told, columns) {
    const copy = (bytes) => bytes.slice().buffer;
    this.x = new Float64Array(copy(columns[0]));
    this.doubt = new Float32Array(copy(columns[1]));
    this.lane = new Uint16Array(copy(columns[2]));
    this.level = new Uint8Array(copy(columns[3]));
    this.axes = told.axes.map((a) => new Axis(a));
    this.lanes = told.lanes;
    this.mask = null;
    const members = this.lanes.map(() => []);
    for (let i = 0; i < this.lane.length; i += 1) if (this.lane[i] !== NOWHERE) members[this.lane[i]].push(i);
    let top = 18;
    this.axisTop = this.axes.map(() => 0);
    this.placed = [];
    this.axes.forEach((_, a) => {
      this.lanes.forEach((lane, n) => {
        if (lane.axis !== a) return;
        const events = Int32Array.from(members[n].sort((p, q) => this.x[p] - this.x[q]));
        this.placed[n] = { events, x: Float64Array.from(events, (i) => this.x[i]), top };
        top += LANE;
      });
      this.axisTop[a] = top;
      top += GAP2;
    });
    this.height = top;
  }
  /** @param {number} i */
  passes(i) {
    return !this.mask || (this.mask[i >> 3] >> (i & 7) & 1) === 1;
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
    const pen = (
      /** @type {CanvasRenderingContext2D} */
      this.canvas.getContext("2d")
    );
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, this.height);
    const style = getComputedStyle(this.canvas);
    const named = (name) => style.getPropertyValue(name).trim();
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
      pen.fillText(mark.text, at, bottom + 5);
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
    pen.lineTo(LEFT + this.width, base + 0.5);
    pen.stroke();
    const axis = this.axes[lane.axis];
    const from = Math.max(0, firstNotBelow(placed.x, axis.low) - 1);
    const to = Math.min(placed.x.length, firstNotBelow(placed.x, axis.high) + 1);
    const last = new Float64Array(shades.length).fill(-1e9);
    const columns = shades.map(() => []);
    for (let k = from; k < to; k += 1) {
      const i = placed.events[k];
      if (!this.passes(i)) continue;
      const at = axis.at(placed.x[k], LEFT, this.width);
      if (at < LEFT - 1 || at > LEFT + this.width + 1) continue;
      const level = this.level[i];
      if (at - last[level] < 0.5) continue;
      last[level] = at;
      columns[level].push(at);
      const doubt = this.doubt[i] / (axis.high - axis.low) * this.width;
      if (doubt > 3) this.whisker(pen, at, doubt, base, ink.soft);
    }
    for (let level = shades.length - 1; level >= 0; level -= 1) {
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
    const a = this.axisTop.findIndex((top) => y < top + GAP2);
    return a;
  }
  /** @param {number} x @param {number} y @returns {number} the event at a place of the canvas; -1 */
  hit(x, y) {
    const n = this.placed.findIndex((p) => y >= p.top - 2 && y < p.top + LANE);
    if (n < 0 || x < LEFT - REACH) return -1;
    const placed = this.placed[n];
    const axis = this.axes[this.lanes[n].axis];
    const low = firstNotBelow(placed.x, axis.under(x - REACH, LEFT, this.width));
    const high = axis.under(x + REACH, LEFT, this.width);
    let best = -1;
    let worth = -Infinity;
    for (let k = low; k < placed.x.length && placed.x[k] <= high && k < low + 2e4; k += 1) {
      const i = placed.events[k];
      if (!this.passes(i)) continue;
      const far = Math.abs(axis.at(placed.x[k], LEFT, this.width) - x);
      const value = -far - this.level[i] * 0.2;
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
    axis.pan(-pixels / this.width * (axis.high - axis.low));
  }
};
function isDark(colour) {
  const [r, g, b] = (colour.match(/[\d.]+/g) || ["0", "0", "0"]).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 128;
}

// src/timeline.js
var CLICK = 4;
var Timeline = class {
  /** @param {any} model @param {HTMLElement} host */
  constructor(model, host) {
    /** @type {VirtualTable} */
    __publicField(
      this,
      "table",
      /** @type {any} */
      null
    );
    /** @type {Record<string, any>} */
    __publicField(this, "choices", {});
    this.model = model;
    this.wire = new Wire(model);
    this.query = /** @type {Record<string, string>} */
    {};
    this.count = 0;
    this.asked = 0;
    this.frame = 0;
    this.released = () => {
    };
    this.build(host);
    this.picture = new Picture(this.canvas);
    this.pane = new HexPane(model, this.below, this.wire);
    this.listen();
    this.load();
  }
  /** @param {HTMLElement} host */
  build(host) {
    const named = (text) => ({ "aria-label": text, title: text });
    const choice = (name, title) => el("select", { class: `vl-${name}`, "data-name": name, ...named(title), onchange: (e) => this.filter(
      name,
      /** @type {any} */
      e.target.value
    ) });
    this.choices = { level: choice("level", "least level"), source: choice("source", "source"), device: choice("device", "device"), facility: choice("facility", "facility") };
    this.text = el("input", { class: "vl-filter", type: "search", placeholder: "filter by words", ...named("filter events by words"), spellcheck: "false", oninput: () => this.later() });
    this.said = el("span", { class: "vl-count", role: "status", "aria-live": "polite" });
    const button = (name, label, title, action) => el("button", { type: "button", class: `vl-${name}`, ...named(title), onclick: action }, label);
    const bar = el(
      "div",
      { class: "vl-bar", role: "toolbar", "aria-label": "timeline" },
      ...Object.values(this.choices),
      this.text,
      el("span", { class: "vl-group" }, button("in", "+", "zoom in (+)", () => this.zoom(0.5)), button("out", "−", "zoom out (-)", () => this.zoom(2)), button("all", "all", "show all (0)", () => this.all())),
      this.said
    );
    this.canvas = el("canvas", { class: "vl-canvas", tabindex: 0, role: "img", "aria-label": "events over time; the list below has the same events" });
    this.tip = el("div", { class: "vl-tip", role: "tooltip", hidden: true });
    this.tie = el("div", { class: "vl-tie", hidden: true });
    this.detail = el("div", { class: "vl-detail", "aria-label": "the chosen event", tabindex: 0 });
    this.table = new VirtualTable(this.wire, { chosen: (row) => this.chosen(row), told: (m) => this.told(m) }, false);
    this.root = el(
      "div",
      { class: "vl-explore vl-hex vl-timeline", "data-lm-suppress-shortcuts": "true" },
      bar,
      el("div", { class: "vl-picture" }, this.canvas, this.tip),
      this.tie,
      el("div", { class: "vl-upper" }, this.table.root, this.detail)
    );
    this.root.addEventListener("keydown", (e) => e.stopPropagation());
    this.below = el("div", {});
    host.append(this.root, this.below);
  }
  // -- what is drawn ----------------------------------------------------------------------------------------------
  async load() {
    try {
      const { message, buffers } = await this.wire.ask("events", {});
      const shown2 = this.picture.axes.map((a) => [a.name, a.low, a.high]);
      this.picture.take(message, buffers.map(bytesOf));
      for (const axis of this.picture.axes) {
        const before = shown2.find((s) => s[0] === axis.name);
        if (before && !message.anchors.length) [axis.low, axis.high] = /** @type {[number, number]} */
        before.slice(1);
      }
      this.count = message.count;
      this.canvas.title = "";
      const fill = (select, none, names, word = (n) => n) => {
        const kept = select.value;
        select.replaceChildren(el("option", { value: "" }, none), ...names.map((n) => el("option", { value: n }, inert(word(n), 60))));
        select.value = names.includes(kept) ? kept : "";
      };
      fill(this.choices.level, "all levels", message.levels.slice(0, -1), (n) => `${n} or graver`);
      fill(this.choices.source, "all sources", message.names.source);
      fill(this.choices.device, "all devices", message.names.device);
      fill(this.choices.facility, "all facilities", message.names.facility);
      this.listAnchors(message);
      await this.choose();
    } catch (e) {
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
    }
  }
  /** Ask which events pass the filters, then draw them. */
  async choose() {
    const turn = ++this.asked;
    try {
      const { message, buffers } = await this.wire.ask("choose", this.query);
      if (turn !== this.asked) return;
      this.picture.mask = message.total === message.all ? null : bytesOf(buffers[0]).slice();
      this.say(`${message.total === message.all ? "" : `${message.total} of `}${message.all} events`);
      this.table.show({ name: "timeline", turn });
      this.draw();
    } catch (e) {
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
    }
  }
  /** @param {string} name @param {string} value */
  filter(name, value) {
    this.query = { ...this.query, [name]: value };
    this.choose();
  }
  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.filter("text", this.text.value), 120);
  }
  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.picture.paint();
      this.root.dataset.ready = "true";
    });
  }
  /** @param {number} factor @param {number} [a] @param {number} [x] */
  zoom(factor, a, x) {
    const chosen = this.picture.chosen;
    this.picture.axes.forEach((axis, n) => {
      if (a !== void 0 && a !== n) return;
      const onAxis = chosen >= 0 && this.picture.lanes[this.picture.lane[chosen]]?.axis === n;
      axis.zoom(factor, x !== void 0 ? x : onAxis ? this.picture.x[chosen] : (axis.low + axis.high) / 2);
    });
    this.draw();
  }
  all() {
    for (const axis of this.picture.axes) axis.all();
    this.draw();
  }
  // -- mouse and keyboard -----------------------------------------------------------------------------------------
  listen() {
    const canvas = this.canvas;
    const place = (e) => {
      const box = canvas.getBoundingClientRect();
      return [e.clientX - box.left, e.clientY - box.top];
    };
    canvas.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && document.activeElement !== canvas && !canvas.matches(":focus")) return;
      e.preventDefault();
      const [x, y] = place(e);
      const a = this.picture.axisAt(y);
      if (a < 0) return;
      if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) this.picture.pan(a, -(e.deltaX || e.deltaY));
      else this.zoom(Math.exp(Math.max(-1, Math.min(1, e.deltaY / 250))), a, this.picture.xAt(a, x));
      this.draw();
    }, { passive: false });
    let held = null;
    canvas.addEventListener("mousedown", (e) => {
      const [x, y] = place(e);
      canvas.focus();
      e.preventDefault();
      held = { x, a: this.picture.axisAt(y), from: x };
    });
    canvas.addEventListener("mousemove", (e) => {
      const [x, y] = place(e);
      if (held && held.a >= 0 && e.buttons) {
        this.picture.pan(held.a, x - held.x);
        held.x = x;
        this.draw();
      } else this.hover(x, y);
    });
    canvas.addEventListener("mouseleave", () => this.hover(-1, -1));
    canvas.addEventListener("mouseup", (e) => {
      const [x, y] = place(e);
      if (held && Math.abs(x - held.from) <= CLICK) this.click(this.picture.hit(x, y));
    });
    canvas.addEventListener("dblclick", (e) => {
      const [x, y] = place(e);
      const a = this.picture.axisAt(y);
      if (a >= 0) this.zoom(0.25, a, this.picture.xAt(a, x));
    });
    this.released = () => {
      held = null;
    };
    window.addEventListener("mouseup", this.released);
    canvas.addEventListener("keydown", (e) => this.key(e));
    this.onVersion = () => this.load();
    this.model.on("change:version", this.onVersion);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(canvas);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  }
  /** @param {KeyboardEvent} e */
  key(e) {
    const actions = (
      /** @type {Record<string, () => void>} */
      {
        "+": () => this.zoom(0.5),
        "=": () => this.zoom(0.5),
        "-": () => this.zoom(2),
        0: () => this.all(),
        Escape: () => this.untying(),
        ArrowRight: () => this.table.choose(this.table.current + 1),
        ArrowLeft: () => this.table.choose(Math.max(0, this.table.current - 1)),
        Home: () => this.table.choose(0),
        End: () => this.table.choose(this.table.total - 1)
      }
    );
    if (!actions[e.key]) return;
    e.preventDefault();
    actions[e.key]();
  }
  /** @param {number} x @param {number} y */
  async hover(x, y) {
    const i = x < 0 ? -1 : this.picture.hit(x, y);
    if (i === this.picture.hovered) return;
    this.picture.hovered = i;
    this.draw();
    this.canvas.style.cursor = i >= 0 ? "pointer" : "";
    this.tip.hidden = true;
    if (i < 0) return;
    let message;
    try {
      ({ message } = await this.wire.ask("event", { row: i }));
    } catch {
      return;
    }
    if (this.picture.hovered !== i) return;
    const said = Object.fromEntries(message.cells);
    const at = this.picture.placeOf(i);
    const first = ["time", "source", "device", "level", "facility"].map((n) => said[n]).filter((t) => t && t !== "-").join(" · ");
    this.tip.replaceChildren(el("div", { class: "vl-tip-head" }, inert(first, 200)), el("div", {}, inert(said.text || "", 500)));
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(4, Math.min((at ? at.x : x) + 12, this.canvas.clientWidth - wide - 4))}px`;
    this.tip.style.top = `${(at ? at.y : y) + 16}px`;
  }
  // -- rows and bytes ---------------------------------------------------------------------------------------------
  /** @param {number} i an event of the picture */
  async click(i) {
    if (i < 0) return;
    if (this.picture.tying >= 0) {
      await this.ask("tie", { row: this.picture.tying, to: i });
      return;
    }
    const { message } = await this.wire.ask("position", { row: i });
    if (message.at >= 0) this.table.choose(message.at);
  }
  /** @param {number} row of the list */
  async chosen(row) {
    let message;
    try {
      ({ message } = await this.wire.ask("row", { row }));
    } catch (e) {
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
      return;
    }
    this.picture.chosen = message.event;
    this.picture.reveal(message.event);
    this.draw();
    const rows = message.cells.filter((c) => c[1] !== "-");
    this.detail.replaceChildren(
      ...message.own ? [el("button", { type: "button", class: "vl-anchor", title: "say at which kernel time this tick was", onclick: () => this.tying(message.event) }, "⚓ tie this tick to kernel time")] : [],
      el("dl", {}, ...rows.flatMap(([name, text]) => [el("dt", {}, inert(name)), el("dd", {}, inert(text))]))
    );
    if (message.space) await this.pane.show(message.space, parse(message.at), BigInt(message.size));
  }
  /** @param {any} m */
  told(m) {
    if (m.error) this.say(m.error, true);
  }
  // -- anchors ----------------------------------------------------------------------------------------------------
  /** @param {number} i the event whose tick is to be tied */
  tying(i) {
    this.picture.tying = i;
    this.draw();
    const field = el("input", { class: "vl-seconds", placeholder: "seconds since boot", "aria-label": "seconds since boot", onkeydown: (e) => {
      if (e.key === "Enter") this.ask("tie", { row: i, seconds: field.value });
      if (e.key === "Escape") this.untying();
    } });
    this.tie.replaceChildren(
      "⚓ click the kernel message of the same moment, or type its time: ",
      field,
      el("button", { type: "button", onclick: () => this.ask("tie", { row: i, seconds: field.value }) }, "tie"),
      el("button", { type: "button", onclick: () => this.untying() }, "cancel")
    );
    this.tie.hidden = false;
  }
  untying() {
    this.picture.tying = -1;
    this.load();
  }
  /** @param {string} op @param {Record<string, any>} args */
  async ask(op, args) {
    try {
      await this.wire.ask(op, args);
      this.picture.tying = -1;
    } catch (e) {
      this.say(String(
        /** @type {Error} */
        e.message
      ), true);
    }
  }
  /** @param {any} message */
  listAnchors(message) {
    const told = message.anchors.map(([device, tick, time2, kind], which) => el(
      "span",
      { class: "vl-tied" },
      inert(`⚓ ${kind} ${device} tick ${tick} = ${seconds(time2)} `, 120),
      el("button", { type: "button", "aria-label": "remove this anchor", title: "remove", onclick: () => this.ask("untie", { which }) }, "×")
    ));
    this.tie.replaceChildren(...told, el("span", { class: "vl-note" }, inert(message.note, 900)));
    this.tie.hidden = !told.length && !message.note;
  }
  /** @param {string} text @param {boolean} [bad] */
  say(text, bad = false) {
    this.said.textContent = inert(text, 400);
    this.said.classList.toggle("vl-bad", bad);
  }
  close() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    window.removeEventListener("mouseup", this.released);
    this.watch?.disconnect();
    this.themes?.disconnect();
    this.model.off("change:version", this.onVersion);
    this.pane.close();
  }
};
function seconds(nanoseconds) {
  return /^\d+$/.test(nanoseconds || "") ? `${nanoseconds.padStart(10, "0").replace(/(\d{9})$/, ".$1").replace(/(\.\d{6})\d{3}$/, "$1")} s` : "";
}
var timeline_default = {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el: host }) {
    const timeline = new Timeline(model, host);
    return () => timeline.close();
  }
};
export {
  timeline_default as default
};
