// Finding bytes or text: the kernel looks in slices, tells how far it is, and can be stopped.

import { parse, wire } from "./address.js";
import { el, inert, named } from "./dom.js";

/**
 * @typedef {{
 *   from: () => {space: string, low: bigint},
 *   found: (at: bigint, size: bigint, wrapped: boolean) => void,
 *   say: (text: string, bad?: boolean) => void,
 * }} Told where a search begins, and what is done with what it finds
 */

export class Finder {
  /** @param {import("./wire.js").Wire} asked @param {Told} told */
  constructor(asked, told) {
    this.wire = asked;
    this.told = told;
    this.running = ""; // the request that looks
    this.last = ""; // what was looked for: again means further
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {string} */ name, /** @type {boolean} */ backward) =>
      el("button", { type: "button", class: name, ...named(title), onclick: () => this.find(backward) }, text);
    this.needle = el("input", { class: "vl-find", placeholder: "find", ...named("bytes or text to find (Ctrl+F)"), spellcheck: "false",
      onkeydown: (/** @type {KeyboardEvent} */ e) => {
        if (e.key === "Enter") this.find(e.shiftKey);
        if (e.key === "Escape") this.stop();
      } });
    this.kind = el("select", { class: "vl-kind", ...named("what is looked for") }, el("option", { value: "text" }, "text"), el("option", { value: "hex" }, "hex"));
    this.progress = el("progress", { class: "vl-progress", max: 1, value: 0, hidden: true, "aria-label": "search" });
    this.cancel = el("button", { class: "vl-cancel", type: "button", hidden: true, onclick: () => this.stop() }, "stop");
    this.root = el("span", { class: "vl-group" }, this.needle, this.kind, button("↑", "find backward (Shift+F3)", "vl-prev", true),
      button("↓", "find forward (F3)", "vl-next", false), this.progress, this.cancel);
  }

  /** @param {boolean} backward */
  async find(backward) {
    const text = this.needle.value;
    if (!text) {
      this.needle.focus();
      return;
    }
    this.stop();
    const { space, low } = this.told.from();
    const at = backward || this.last !== text ? low : low + 1n;
    this.progress.hidden = this.cancel.hidden = false;
    this.progress.value = 0;
    const asked = this.wire.ask("find", { space, at: wire(at), text, kind: this.kind.value, backward }, (m) => { this.progress.value = m.part; });
    this.running = asked.id;
    this.last = text;
    try {
      const { message } = await asked;
      if (message.at === undefined) this.told.say(`${inert(text, 40)}: not found`, true);
      else this.told.found(parse(message.at), BigInt(message.size), !!message.wrapped);
    } catch (e) {
      this.told.say(String(/** @type {Error} */ (e).message), true);
    } finally {
      if (this.running === asked.id) {
        this.running = "";
        this.progress.hidden = this.cancel.hidden = true;
      }
    }
  }

  stop() {
    if (this.running) this.wire.cancel(this.running);
  }
}
