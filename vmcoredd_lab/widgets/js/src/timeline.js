// The timeline: the picture, its filters, the rows, and the bytes of the chosen event.

import explore from "./explore.css";
import hexview from "./hexview.css";
import css from "./timeline.css";
import { parse } from "./address.js";
import { el, inert, keepKeys, named } from "./dom.js";
import { HexPane } from "./hexview.js";
import { addStyle } from "./style.js";
import { VirtualTable } from "./table.js";
import { Picture } from "./timecanvas.js";
import { Wire, bytesOf } from "./wire.js";

const CLICK = 4; // pixels that a click may move

class Timeline {
  /** @type {VirtualTable} */
  table = /** @type {any} */ (null);
  /** @type {Record<string, any>} */
  choices = {};
  /** @param {any} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    this.wire = new Wire(model);
    addStyle("hexview", hexview);
    addStyle("explore", explore);
    addStyle("timeline", css);
    this.query = /** @type {Record<string, string>} */ ({ level: "", source: "", device: "", facility: "", text: "" });
    this.count = 0;
    this.asked = 0;
    this.version = 0; // of the anchors, with which events are numbered
    this.wanted = -1; // an event that is chosen once its row is there
    this.choosings = 0; // rises with each choice: what comes later than another choice is not made
    this.tied = /** @type {{row: number, version: number} | null} */ (null); // the event whose tick is being tied
    this.asking = false; // whether the text of an event is on its way
    this.mouse = { x: -1, y: -1 };
    this.frame = 0;
    this.released = () => {};
    this.build(host);
    this.picture = new Picture(this.canvas);
    this.pane = new HexPane(model, this.below, this.wire);
    this.listen();
    this.load();
  }

  /** @param {HTMLElement} host */
  build(host) {
    const choice = (/** @type {string} */ name, /** @type {string} */ title) =>
      el("select", { class: `vl-${name}`, "data-name": name, ...named(title), onchange: (/** @type {Event} */ e) => this.filter(name, /** @type {any} */ (e.target).value) });
    this.choices = { level: choice("level", "least level"), source: choice("source", "source"), device: choice("device", "device"), facility: choice("facility", "facility") };
    this.text = el("input", { class: "vl-filter", type: "search", placeholder: "filter by words", ...named("filter events by words"), spellcheck: "false", oninput: () => this.later() });
    this.said = el("span", { class: "vl-count", role: "status", "aria-live": "polite" });
    const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ action) => el("button", { type: "button", class: `vl-${name}`, ...named(title), onclick: action }, label);
    const bar = el("div", { class: "vl-bar", role: "toolbar", "aria-label": "timeline" }, ...Object.values(this.choices), this.text,
      el("span", { class: "vl-group" }, button("in", "+", "zoom in (+)", () => this.zoom(0.5)), button("out", "−", "zoom out (-)", () => this.zoom(2)), button("all", "all", "show all (0)", () => this.all())), this.said);
    this.canvas = el("canvas", { class: "vl-canvas", tabindex: 0, role: "img", "aria-label": "events over time; the list below has the same events" });
    this.tip = el("div", { class: "vl-tip", role: "tooltip", hidden: true });
    this.anchors = el("div", { class: "vl-tie", hidden: true });
    this.tie = el("div", { class: "vl-tie", hidden: true });
    this.detail = el("div", { class: "vl-detail", "aria-label": "the chosen event", tabindex: 0 });
    this.table = new VirtualTable(this.wire, { chosen: (row, query) => this.chosen(row, query), told: (m) => this.told(m) }, false);
    this.root = el("div", { class: "vl-explore vl-hex vl-timeline", "data-lm-suppress-shortcuts": "true" }, bar, el("div", { class: "vl-picture" }, this.canvas, this.tip),
      this.anchors, this.tie, el("div", { class: "vl-upper" }, this.table.root, this.detail));
    keepKeys(this.root);
    this.below = el("div", {});
    host.append(this.root, this.below);
  }

  // -- what is drawn ----------------------------------------------------------------------------------------------

  async load() {
    try {
      this.said.textContent = "collecting the events…";
      await this.wire.ask("make", { name: "timeline" }, (m) => { this.said.textContent = `${inert(m.said || "collecting the events", 80)}… ${m.part === null ? "" : Math.round(m.part * 100) + " %"}`; });
      const { message, buffers } = await this.wire.ask("events", {});
      const shown = this.picture.axes.map((a) => [a.name, a.low, a.high]);
      if (message.version !== this.version) this.picture.forget();
      this.version = message.version;
      this.picture.take(message, buffers.map(bytesOf));
      for (const axis of this.picture.axes) {
        const before = shown.find((s) => s[0] === axis.name);
        if (before && !message.anchors.length) [axis.low, axis.high] = /** @type {[number, number]} */ (before.slice(1));
      }
      this.count = message.count;
      this.canvas.title = "";
      const fill = (/** @type {any} */ select, /** @type {string} */ none, /** @type {string[]} */ names, /** @type {(n: string) => string} */ word = (n) => n) => {
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
      this.say(String(/** @type {Error} */ (e).message), true);
    }
  }

  /** Ask which events pass the filters, then draw them. */
  async choose() {
    const turn = ++this.asked;
    try {
      const { message, buffers } = await this.wire.ask("choose", { ...this.query, version: this.version });
      if (turn !== this.asked) return;
      this.picture.mask = message.total === message.all ? null : bytesOf(buffers[0]).slice();
      this.say(`${message.total === message.all ? "" : `${message.total} of `}${message.all} events`);
      this.table.show({ name: "timeline", ...this.query, version: this.version });
      this.draw();
    } catch (e) {
      this.say(String(/** @type {Error} */ (e).message), true);
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
      if (a !== undefined && a !== n) return;
      const onAxis = chosen >= 0 && this.picture.lanes[this.picture.lane[chosen]]?.axis === n;
      axis.zoom(factor, x !== undefined ? x : onAxis ? this.picture.x[chosen] : (axis.low + axis.high) / 2);
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
    const place = (/** @type {MouseEvent} */ e) => {
      const box = canvas.getBoundingClientRect();
      return [e.clientX - box.left, e.clientY - box.top];
    };
    canvas.addEventListener("wheel", (/** @type {WheelEvent} */ e) => {
      if (!e.ctrlKey && document.activeElement !== canvas && !canvas.matches(":focus")) return; // the page scrolls
      e.preventDefault();
      const [x, y] = place(e);
      const a = this.picture.axisAt(y);
      if (a < 0) return;
      if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) this.picture.pan(a, -(e.deltaX || e.deltaY));
      else this.zoom(Math.exp(Math.max(-1, Math.min(1, e.deltaY / 250))), a, this.picture.xAt(a, x));
      this.draw();
    }, { passive: false });
    /** @type {{x: number, a: number, from: number} | null} */
    let held = null;
    canvas.addEventListener("mousedown", (/** @type {MouseEvent} */ e) => {
      const [x, y] = place(e);
      canvas.focus();
      e.preventDefault();
      held = { x, a: this.picture.axisAt(y), from: x };
    });
    canvas.addEventListener("mousemove", (/** @type {MouseEvent} */ e) => {
      const [x, y] = place(e);
      if (held && held.a >= 0 && e.buttons) {
        this.picture.pan(held.a, x - held.x);
        held.x = x;
        this.draw();
      } else this.hover(x, y);
    });
    canvas.addEventListener("mouseleave", () => this.hover(-1, -1));
    canvas.addEventListener("mouseup", (/** @type {MouseEvent} */ e) => {
      const [x, y] = place(e);
      if (held && Math.abs(x - held.from) <= CLICK) this.click(this.picture.hit(x, y));
    });
    canvas.addEventListener("dblclick", (/** @type {MouseEvent} */ e) => {
      const [x, y] = place(e);
      const a = this.picture.axisAt(y);
      if (a >= 0) this.zoom(0.25, a, this.picture.xAt(a, x));
    });
    this.released = () => { held = null; };
    window.addEventListener("mouseup", this.released);
    canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => this.key(e));
    this.onVersion = () => this.load();
    this.model.on("change:version", this.onVersion);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(canvas);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-id", "class"] });
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    const actions = /** @type {Record<string, () => void>} */ ({
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.all(), Escape: () => this.untying(),
      ArrowRight: () => this.table.choose(this.table.current + 1), ArrowLeft: () => this.table.choose(Math.max(0, this.table.current - 1)),
      Home: () => this.table.choose(0), End: () => this.table.choose(this.table.total - 1),
    });
    if (!actions[e.key] || e.ctrlKey || e.altKey || e.metaKey) return;
    e.preventDefault();
    actions[e.key]();
  }

  /** @param {number} x @param {number} y */
  async hover(x, y) {
    this.mouse = { x, y };
    const i = x < 0 ? -1 : this.picture.hit(x, y);
    if (i === this.picture.hovered) return;
    this.picture.hovered = i;
    this.draw();
    this.canvas.style.cursor = i >= 0 ? "pointer" : "";
    this.tip.hidden = true;
    if (i < 0 || this.asking) return; // a mouse that passes over many events asks for those that it rests on
    let message;
    this.asking = true;
    try {
      ({ message } = await this.wire.ask("event", { row: i, version: this.version }));
    } catch {
      return;
    } finally {
      this.asking = false;
    }
    if (this.picture.hovered !== i) {
      this.picture.hovered = -1;
      this.hover(this.mouse.x, this.mouse.y);
      return;
    }
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
    if (this.tied) {
      await this.ask("tie", { ...this.tied, to: i, to_version: this.version });
      return;
    }
    this.wanted = i;
    if (this.current) await this.find();
  }

  /** @returns {boolean} whether the rows listed are those of the picture */
  get current() {
    return !this.table.stale && this.table.query.version === this.version;
  }

  /** Choose the event that is wanted in the list. */
  async find() {
    const [row, choosings] = [this.wanted, this.choosings];
    this.wanted = -1;
    try {
      const { message } = await this.wire.ask("position", { ...this.table.shown, row });
      if (message.at >= 0 && choosings === this.choosings) this.table.choose(message.at); // else another was chosen meanwhile
    } catch (e) {
      this.say(String(/** @type {Error} */ (e).message), true);
    }
  }

  /** @param {number} row of the list @param {Record<string, any>} query what it lists */
  async chosen(row, query) {
    this.wanted = -1;
    this.choosings += 1;
    let message;
    for (const button of this.detail.querySelectorAll("button")) button.disabled = true; // it means the event before
    try {
      ({ message } = await this.wire.ask("row", { ...query, row }));
    } catch (e) {
      this.say(String(/** @type {Error} */ (e).message), true);
      return;
    }
    if (query.version === this.version) {
      this.picture.chosen = message.event;
      this.picture.reveal(message.event);
      this.draw();
    }
    const rows = message.cells.filter((/** @type {string[]} */ c) => c[1] !== "-");
    this.detail.replaceChildren(...(message.own ? [el("button", { type: "button", class: "vl-anchor", title: "say at which kernel time this tick was", onclick: () => this.tying(message.event, query.version) }, "⚓ tie this tick to kernel time")] : []),
      el("dl", {}, ...rows.flatMap((/** @type {string[]} */ [name, text]) => [el("dt", {}, inert(name)), el("dd", {}, inert(text))])));
    if (message.space) await this.pane.show(message.space, parse(message.at), BigInt(message.size));
    else this.pane.say("this event has no bytes of its own in the file");
  }

  /** @param {any} m */
  told(m) {
    if (m.error) this.say(m.error, true);
    else if (this.wanted >= 0 && this.current) this.find();
  }

  // -- anchors ----------------------------------------------------------------------------------------------------

  /** @param {number} row the event whose tick is to be tied @param {number} version of its number */
  tying(row, version) {
    this.tied = { row, version };
    this.picture.tying = version === this.version ? row : -1;
    this.draw();
    const tie = () => this.ask("tie", { row, version, seconds: field.value });
    const field = el("input", { class: "vl-seconds", placeholder: "seconds since boot", "aria-label": "seconds since boot", onkeydown: (/** @type {KeyboardEvent} */ e) => {
      if (e.key === "Enter") tie();
      if (e.key === "Escape") this.untying();
    } });
    this.tie.replaceChildren("⚓ click the kernel message of the same moment, or type its time: ", field,
      el("button", { type: "button", onclick: tie }, "tie"), el("button", { type: "button", onclick: () => this.untying() }, "cancel"));
    this.tie.hidden = false;
  }

  untying() {
    this.tied = null;
    this.picture.tying = -1;
    this.tie.hidden = true;
    this.draw();
  }

  /** @param {string} op @param {Record<string, any>} args */
  async ask(op, args) {
    const choosings = this.choosings;
    try {
      const { message } = await this.wire.ask(op, args);
      this.untying();
      if (message.event !== undefined && choosings === this.choosings) this.wanted = message.event;
    } catch (e) {
      this.say(String(/** @type {Error} */ (e).message), true);
    }
  }

  /** @param {any} message */
  listAnchors(message) {
    const told = message.anchors.map((/** @type {string[]} */ anchor) => el("span", { class: "vl-tied" }, inert(said(anchor), 120),
      el("button", { type: "button", "aria-label": "remove this anchor", title: "remove", onclick: () => this.ask("untie", { anchor }) }, "×")));
    this.anchors.replaceChildren(...told, el("span", { class: "vl-note" }, inert(message.note, 900)));
    this.anchors.hidden = !told.length && !message.note;
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
}

/** @param {string[]} anchor @returns {string} */
const said = ([device, tick, time, kind]) => `⚓ ${kind} ${device} tick ${tick} = ${seconds(time)} `;

/** @param {string} nanoseconds decimal @returns {string} */
function seconds(nanoseconds) {
  return /^\d+$/.test(nanoseconds || "") ? `${nanoseconds.padStart(10, "0").replace(/(\d{9})$/, ".$1").replace(/(\.\d{6})\d{3}$/, "$1")} s` : "";
}

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el: host }) {
    const timeline = new Timeline(model, host);
    return () => timeline.close();
  },
};
