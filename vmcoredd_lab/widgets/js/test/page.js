// A page without a browser: what the modules under test find as document and window.

import { JSDOM } from "jsdom";

export const page = new JSDOM("<!doctype html><body></body>", { pretendToBeVisual: true });

const names = ["window", "document", "HTMLElement", "Node", "MouseEvent", "KeyboardEvent", "getComputedStyle", "requestAnimationFrame", "cancelAnimationFrame"];
for (const name of names) {
  const value = name === "window" ? page.window : /** @type {any} */ (page.window)[name];
  Object.defineProperty(globalThis, name, { value: typeof value === "function" && /^[a-z]/.test(name) ? value.bind(page.window) : value, configurable: true });
}

/** @param {Element} node @param {Partial<DOMRect>} box where it is laid out, which jsdom does not know */
export function place(node, box) {
  const whole = { left: 0, top: 0, right: 0, bottom: 0, width: 0, height: 0, x: 0, y: 0, ...box };
  node.getBoundingClientRect = () => /** @type {DOMRect} */ (whole);
}

/** The next frame has been drawn. */
export const frame = () => new Promise((done) => page.window.requestAnimationFrame(() => setTimeout(done, 0)));

/** A kernel: keeps what it is asked, and answers when it is told to. */
export class Kernel {
  constructor() {
    /** @type {any[]} */
    this.asked = [];
    /** @type {Record<string, any>} */
    this.traits = {};
    this.listeners = /** @type {Record<string, Function[]>} */ ({});
  }

  /** @param {any} message */
  send(message) {
    this.asked.push(message);
  }

  /** @param {string} name @param {Function} listener */
  on(name, listener) {
    (this.listeners[name] ??= []).push(listener);
  }

  /** @param {string} name @param {Function} listener */
  off(name, listener) {
    this.listeners[name] = (this.listeners[name] || []).filter((one) => one !== listener);
  }

  /** @param {string} name */
  get(name) {
    return this.traits[name];
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    this.traits[name] = value;
  }

  save_changes() {}

  /** @param {any} request one of those asked @param {any} message @param {any[]} [buffers] */
  async answer(request, message, buffers = []) {
    for (const listener of this.listeners["msg:custom"] || []) listener({ id: request.id, ok: true, ...message }, buffers);
    await new Promise((done) => setTimeout(done, 0));
  }
}
