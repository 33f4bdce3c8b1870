// The scroll bar of a space: a pixel of it may stand for gigabytes, so it moves by share and not by scrolled height.

import { el } from "./dom.js";

const THUMB = 28; // pixels

export class ScrollBar {
  /** @param {(part: number) => void} moved called with the share of the space that is wanted, from 0 to 1 */
  constructor(moved) {
    this.thumb = el("div", { class: "vl-thumb", style: `height:${THUMB}px` });
    this.root = el("div", { class: "vl-scroll", role: "scrollbar", "aria-orientation": "vertical", "aria-label": "place in the space", "aria-valuemin": 0, "aria-valuemax": 100 }, this.thumb);
    let held = false;
    const drag = (/** @type {PointerEvent} */ e) => {
      const box = this.root.getBoundingClientRect();
      moved((e.clientY - box.top) / box.height);
    };
    this.root.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => {
      held = true;
      this.root.setPointerCapture(e.pointerId);
      drag(e);
    });
    this.root.addEventListener("pointermove", (/** @type {PointerEvent} */ e) => held && drag(e));
    this.root.addEventListener("pointerup", () => (held = false));
  }

  /** @param {number} part from 0 to 1 */
  show(part) {
    this.thumb.style.top = `calc(${(part * 100).toFixed(4)}% - ${(part * THUMB).toFixed(2)}px)`;
    this.root.setAttribute("aria-valuenow", (part * 100).toFixed(3));
  }
}
