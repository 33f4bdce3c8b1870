// The tree of structures beside the bytes: opened as far as one looks, filled by the kernel.

import { el, inert } from "./dom.js";
import { parse } from "./address.js";

const KEYS = ["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End", "Enter"];

/** @typedef {{path: string, label: string, start: string, end: string, value: string, meaning: string, link: string, leaf: boolean}} Told */

export class Tree {
  /**
   * @param {import("./wire.js").Wire} wire
   * @param {{chosen: (node: Told) => void, follow: (node: Told) => void}} told
   */
  constructor(wire, told) {
    this.wire = wire;
    this.told = told;
    this.space = "";
    this.turn = 0;
    this.done = Promise.resolve(); // what keys have begun
    /** @type {Map<string, {row: HTMLElement, list: HTMLElement, node: Told, open: boolean, filling?: Promise<void>}>} */
    this.items = new Map();
    this.root = el("ul", { class: "vl-tree", role: "tree", "aria-label": "structure", tabindex: 0 });
    this.root.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => this.key(e));
    /** @type {string} */
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
    const row = el("div", { class: "vl-node", title: inert(`${node.label}: ${node.value}${node.meaning ? "\n" + node.meaning : ""}\n0x${node.start} up to 0x${node.end}`) },
      mark, el("span", { class: "vl-label" }, inert(node.label)), " ", el("span", { class: "vl-value" }, inert(node.value)));
    if (node.link) {
      row.append(" ", el("button", { class: "vl-link", type: "button", title: "show what is inside, decoded", "aria-label": `open ${inert(node.link)}`, onclick: (/** @type {Event} */ e) => { e.stopPropagation(); this.told.follow(node); } }, "→"));
    }
    const item = el("li", { role: "treeitem", "aria-level": level, "aria-expanded": node.leaf ? undefined : "false" }, row, list);
    this.items.set(node.path, { row, list, node, open: false });
    row.addEventListener("click", () => this.choose(node));
    mark.addEventListener("click", (/** @type {Event} */ e) => {
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
    one.open = open === undefined ? !one.open : open;
    one.row.parentElement?.setAttribute("aria-expanded", String(one.open));
    /** @type {any} */ (one.row.firstChild).textContent = one.open ? "▾" : "▸";
    one.list.hidden = !one.open;
    if (!one.open) return;
    one.filling ??= this.fill(path, one.list, path.split("/").length + 1);
    await one.filling;
    if (!one.list.children.length) one.filling = undefined; // nothing came: the next time asks again
  }

  /** @param {Told} node */
  choose(node) {
    this.turn += 1; // what is still on its way about another byte marks nothing any more
    this.mark(node.path);
    this.told.chosen(node);
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
   * Show which fields a byte is in: open the way to the smallest, or to that which is selected whole.
   * @param {string} space @param {string} at @param {[string, string]} selected first byte and end @returns {Promise<Told[]>}
   */
  async locate(space, at, [low, high]) {
    const turn = ++this.turn;
    let path;
    try {
      path = (await this.wire.ask("at", { space, at })).message.path;
    } catch {
      return [];
    }
    if (turn !== this.turn || space !== this.space) return [];
    for (const node of path.slice(0, -1)) await this.toggle(node.path, true);
    const whole = path.filter((/** @type {Told} */ n) => n.start === low && n.end === high);
    const meant = whole.find((/** @type {Told} */ n) => n.path === this.current) || whole[whole.length - 1];
    const named = meant ? path.slice(0, path.indexOf(meant) + 1) : path;
    if (turn === this.turn && named.length) this.mark(named[named.length - 1].path);
    return named;
  }

  /** A key means what is there once the keys before it are done: what was opened has come. @param {KeyboardEvent} e */
  key(e) {
    if (!KEYS.includes(e.key)) return;
    e.preventDefault();
    e.stopPropagation();
    this.done = this.done.then(() => this.act(e.key));
  }

  /** @param {string} key */
  async act(key) {
    const one = this.items.get(this.current);
    await one?.filling;
    const rows = [...this.root.querySelectorAll(".vl-node")].filter((row) => !row.closest("[hidden]"));
    const here = one ? rows.indexOf(one.row) : -1;
    if (key === "ArrowRight" && one && !one.open && !one.node.leaf) await this.toggle(this.current, true);
    else if (key === "ArrowLeft" && one?.open) await this.toggle(this.current, false);
    else if (key === "ArrowLeft") this.go(one?.row.parentElement?.parentElement?.closest("li")?.querySelector(".vl-node"));
    else if (key === "ArrowRight") this.go(one?.list.querySelector(".vl-node"));
    else if (key === "ArrowDown") this.go(rows[Math.min(here + 1, rows.length - 1)]);
    else if (key === "ArrowUp") this.go(rows[Math.max(here - 1, 0)]);
    else if (key === "Home" || key === "End") this.go(rows[key === "Home" ? 0 : rows.length - 1]);
    else if (one?.node.link) this.told.follow(one.node);
  }

  /** @param {Element | null | undefined} row */
  go(row) {
    const one = [...this.items.values()].find((item) => item.row === row);
    if (one) this.choose(one.node);
  }
}

/** @param {Told[]} path @returns {string} a sentence on the smallest field */
export function sentence(path) {
  if (!path.length) return "";
  const last = path[path.length - 1];
  const names = path.map((n) => n.label).join(" › ");
  const size = parse(last.end) - parse(last.start);
  return inert(`${names}${last.value && !last.value.startsWith("struct ") ? " = " + last.value : ""}${last.meaning ? " — " + last.meaning : ""} (${size} byte${size === 1n ? "" : "s"})`, 400);
}
