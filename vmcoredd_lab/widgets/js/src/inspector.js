// What the bytes at the cursor could be: integers, floats, times and addresses, in both byte orders.

import { el } from "./dom.js";
import { inspect } from "./format.js";

export class Inspector {
  constructor() {
    this.root = el("div", { class: "vl-inspect", "aria-label": "data at the cursor" });
  }

  /** @param {Uint8Array | null} bytes null where there are none */
  show(bytes) {
    const table = (/** @type {string} */ title, /** @type {boolean} */ little) =>
      el("table", {}, el("caption", {}, title), ...inspect(/** @type {Uint8Array} */ (bytes), little).map(([kind, value]) => el("tr", {}, el("th", { scope: "row" }, kind), el("td", {}, value))));
    this.root.replaceChildren(...(bytes ? [table("little endian", true), table("big endian", false)] : []));
  }
}
