// Selecting with the mouse: from where the button goes down to where it is let go, scrolling where it leaves the lines.

const AGAIN = 50; // milliseconds between steps while the mouse is held above or below
const FASTER = 20; // pixels further away for each more line a step

/**
 * @typedef {{
 *   under: (e: MouseEvent) => bigint | null,
 *   begin: (at: bigint, extend: boolean) => void,
 *   to: (at: bigint) => void,
 *   beyond: (lines: number) => void,
 *   end: () => void,
 * }} Told which byte is under the mouse, and what a selection does with it; beyond: the mouse is held above (negative) or below
 */

export class Dragging {
  /** @param {HTMLElement} grid @param {Told} told */
  constructor(grid, told) {
    this.grid = grid;
    this.told = told;
    this.held = false;
    this.away = 0;
    /** @type {any} */
    this.timer = undefined;
    grid.addEventListener("mousedown", (e) => this.down(e));
    this.onMove = (/** @type {MouseEvent} */ e) => this.move(e);
    this.onUp = () => this.up();
    window.addEventListener("mousemove", this.onMove);
    window.addEventListener("mouseup", this.onUp);
  }

  /** @param {MouseEvent} e */
  down(e) {
    const at = this.told.under(e);
    if (at === null || e.button !== 0) return;
    e.preventDefault();
    this.grid.focus();
    this.held = true;
    this.told.begin(at, e.shiftKey);
  }

  /** @param {MouseEvent} e */
  move(e) {
    if (!this.held) return;
    const box = this.grid.getBoundingClientRect();
    const far = e.clientY < box.top ? e.clientY - box.top : e.clientY > box.bottom ? e.clientY - box.bottom : 0;
    this.away = Math.sign(far) * (far ? 1 + Math.floor(Math.abs(far) / FASTER) : 0);
    if (this.away) {
      this.timer ??= setInterval(() => this.told.beyond(this.away), AGAIN);
      return;
    }
    this.rest();
    const at = this.told.under(e);
    if (at !== null) this.told.to(at);
  }

  up() {
    this.rest();
    if (this.held) this.told.end();
    this.held = false;
  }

  rest() {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  close() {
    this.rest();
    window.removeEventListener("mousemove", this.onMove);
    window.removeEventListener("mouseup", this.onUp);
  }
}
