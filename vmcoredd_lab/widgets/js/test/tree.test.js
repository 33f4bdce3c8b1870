import assert from "node:assert/strict";
import test from "node:test";

import { Kernel, page } from "./page.js";
import { Tree } from "../src/tree.js";
import { Wire } from "../src/wire.js";

const told = (/** @type {string} */ path, leaf = true, link = "") => ({ path, label: path, start: "0", end: "4", value: "", meaning: "", link, leaf });
const settled = () => new Promise((done) => setTimeout(done, 0));

/** @returns {Promise<any>} a tree of a header with fields and a table, its kernel, and what is chosen and followed */
async function tree() {
  const kernel = new Kernel();
  /** @type {string[]} */
  const chosen = [];
  const made = new Tree(new Wire(kernel), { chosen: (node) => chosen.push(node.path), follow: (node) => chosen.push(`→ ${node.link}`) });
  page.window.document.body.replaceChildren(made.root);
  made.show("file");
  await kernel.answer(kernel.asked[0], { nodes: [told("header", false), told("table", true, "entity")] });
  const press = (/** @type {string[]} */ ...keys) => keys.forEach((key) => made.root.dispatchEvent(new page.window.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })));
  return { kernel, made, chosen, press };
}

/** The children of the header come. @param {any} kernel @param {number} [asked] which request asks for them */
async function come(kernel, asked = 1) {
  await kernel.answer(kernel.asked[asked], { nodes: [told("header/a"), told("header/b")] });
  await settled();
}

test("keys that are pressed before the children come mean the children", async () => {
  const { kernel, chosen, press } = await tree();
  press("ArrowDown", "ArrowRight", "ArrowDown", "ArrowDown");
  await settled();
  assert.deepEqual(chosen, ["header"]);
  await come(kernel);
  assert.deepEqual(chosen, ["header", "header/a", "header/b"]);
});

test("keys wait for a branch that something else has opened", async () => {
  const { kernel, made, chosen, press } = await tree();
  made.locate("file", "0", ["0", "1"]);
  await kernel.answer(kernel.asked[1], { path: [told("header", false), told("header/a")] });
  press("ArrowDown", "ArrowRight", "ArrowRight", "ArrowDown");
  await settled();
  assert.deepEqual(chosen, ["header"]);
  await come(kernel, 2);
  assert.deepEqual(chosen, ["header", "header/a", "header/b"]);
  assert.equal(kernel.asked.length, 3);
});

test("a branch whose children did not come is asked for again", async () => {
  const { kernel, made } = await tree();
  made.toggle("header");
  await kernel.answer(kernel.asked[1], { ok: false, error: "gone" });
  await settled();
  made.toggle("header", true);
  assert.equal(kernel.asked.length, 3);
});

test("right and left go in and out of a branch, up and down through what is seen", async () => {
  const { kernel, made, chosen, press } = await tree();
  press("Home", "ArrowRight");
  await settled();
  await come(kernel);
  press("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft");
  await settled();
  assert.deepEqual(chosen.splice(0), ["header", "header/a", "header/b", "header"]);
  assert.equal(made.root.firstChild.getAttribute("aria-expanded"), "false");
  press("ArrowDown", "Enter", "ArrowUp", "ArrowUp", "End", "x");
  await settled();
  assert.deepEqual(chosen, ["table", "→ entity", "header", "header", "table"]);
  assert.equal(kernel.asked.length, 2); // what was opened once is there
});

test("a space without structure says so, and takes keys", async () => {
  const { kernel, made, chosen, press } = await tree();
  made.show("physical");
  await kernel.answer(kernel.asked[1], { nodes: [] });
  press("ArrowDown", "ArrowRight", "ArrowLeft", "Enter", "End");
  await settled();
  assert.match(made.root.textContent, /no structure/);
  assert.equal(made.empty, true);
  assert.deepEqual(chosen, []);
});
