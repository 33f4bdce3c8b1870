// Bookmarks: a list in the widget's model, [space, address, name] each; a place that is marked already loses its mark.

import { parse, wire } from "./address.js";
import { el, inert, named } from "./dom.js";

/**
 * @typedef {{
 *   here: () => {space: string, at: bigint, name: string},
 *   go: (space: string, at: bigint) => void,
 *   say: (text: string) => void,
 * }} Told
 */

export class Bookmarks {
  /** @param {any} model @param {Told} told */
  constructor(model, told) {
    this.model = model;
    this.told = told;
    this.star = el("button", { type: "button", class: "vl-star", ...named("bookmark the selection, or take its bookmark away (Ctrl+B)"), onclick: () => this.mark() }, "★");
    this.list = el("select", { class: "vl-marks", ...named("bookmarks"), onchange: () => this.chosen() });
    this.changed = () => this.fill();
    model.on("change:bookmarks", this.changed);
    this.fill();
  }

  /** @returns {string[][]} */
  get all() {
    return this.model.get("bookmarks") || [];
  }

  mark() {
    const { space, at, name } = this.told.here();
    const kept = this.all.filter((one) => one[0] !== space || one[1] !== wire(at));
    const taken = kept.length < this.all.length;
    this.model.set("bookmarks", taken ? kept : [...kept, [space, wire(at), name]]);
    this.model.save_changes();
    this.fill();
    this.told.say(taken ? `no bookmark at ${name} any more` : `bookmarked ${name}`);
  }

  fill() {
    this.list.replaceChildren(el("option", { value: "" }, this.all.length ? `${this.all.length} ★` : "no ★"), ...this.all.map((one, i) => el("option", { value: i }, inert(`${one[2]} (${one[0]})`, 100))));
    this.list.disabled = !this.all.length;
  }

  chosen() {
    const one = this.all[Number(this.list.value)];
    this.list.value = "";
    if (one) this.told.go(one[0], parse(one[1]));
  }

  close() {
    this.model.off("change:bookmarks", this.changed);
  }
}
