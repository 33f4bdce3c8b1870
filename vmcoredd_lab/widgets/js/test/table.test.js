import assert from "node:assert/strict";
import test from "node:test";

import { Kernel, frame, page, place } from "./page.js";
import { VirtualTable } from "../src/table.js";
import { Wire } from "../src/wire.js";

const COLUMNS = [["name", "what it is called", false, 10], ["value", "its value", true, 8]];

/** @returns {any} a table of a screen of 10 rows, its kernel, and what it told */
function table() {
  const kernel = new Kernel();
  /** @type {any[]} */
  const told = [];
  const made = new VirtualTable(new Wire(kernel), { chosen: (row) => told.push(row), told: (m) => told.push(m) });
  Object.defineProperty(made.scroller, "clientHeight", { value: 240 });
  page.window.document.body.replaceChildren(made.root);
  return { kernel, made, told };
}

/** @param {any} request @param {number} total */
const rows = (request, total) => {
  const count = Math.min(request.count, total - request.from);
  return { from: request.from, total, all: total, columns: COLUMNS, rows: Array.from({ length: count }, (_, i) => [`row ${request.from + i}`, String(i)]) };
};

const shown = (/** @type {any} */ made) => [...made.body.children].map((n) => n.firstChild.textContent);

test("a million rows: those on screen are elements and were asked for, no others", async () => {
  const { kernel, made } = table();
  made.show({ name: "registers" });
  await kernel.answer(kernel.asked[0], rows(kernel.asked[0], 1_000_000));
  await frame();
  assert.deepEqual(shown(made).slice(0, 2), ["row 0", "row 1"]);
  assert.ok(made.body.children.length < 20 && kernel.asked[0].count < 100);
  made.scroller.scrollTop = 8_000_000 - 240;
  made.draw();
  await frame();
  assert.deepEqual(shown(made)[0], "…");
  await kernel.answer(kernel.asked[1], rows(kernel.asked[1], 1_000_000));
  await frame();
  assert.equal(made.body.lastChild.dataset.row, "999999");
  assert.equal(shown(made).pop(), "row 999999");
});

test("an answer to what was asked before another table was chosen is passed over", async () => {
  const { kernel, made } = table();
  made.show({ name: "registers" });
  made.show({ name: "notes" });
  await kernel.answer(kernel.asked[1], rows(kernel.asked[1], 2));
  await kernel.answer(kernel.asked[0], rows(kernel.asked[0], 500));
  await frame();
  assert.equal(made.total, 2);
  assert.deepEqual(shown(made), ["row 0", "row 1"]);
});

test("until other rows come, those on screen can be chosen, and are what is chosen", async () => {
  const { kernel, made } = table();
  /** @type {any[]} */
  const chosen = [];
  made.events.chosen = (/** @type {number} */ row, /** @type {any} */ query) => chosen.push([row, query.name, query.filter]);
  made.show({ name: "registers" });
  await kernel.answer(kernel.asked[0], rows(kernel.asked[0], 500));
  await frame();
  for (const query of [{ filter: "pcie" }, { name: "notes", filter: "" }]) {
    made.show(query);
    await frame();
    assert.equal(made.scroller.getAttribute("aria-busy"), "true");
    assert.equal(shown(made)[2], "row 2");
    made.body.children[2].click();
  }
  made.scroller.dispatchEvent(new page.window.KeyboardEvent("keydown", { key: "ArrowDown" }));
  await kernel.answer(kernel.asked[2], rows(kernel.asked[2], 4));
  assert.equal(made.scroller.getAttribute("aria-busy"), null);
  assert.equal(made.current, -1);
  assert.equal(made.body.children.length, 4);
  made.body.children[2].click();
  assert.deepEqual(chosen, [[2, "registers", ""], [2, "registers", ""], [3, "registers", ""], [2, "notes", ""]]);
});

test("a title sorts up, then down, then not", async () => {
  const { kernel, made } = table();
  made.show({ name: "registers" });
  for (const expected of [["value", false], ["value", true], [null, false]]) {
    const asked = kernel.asked[kernel.asked.length - 1];
    await kernel.answer(asked, rows(asked, 3));
    await frame();
    made.head.children[1].click();
    const { sort, down } = kernel.asked[kernel.asked.length - 1];
    assert.deepEqual([sort, down], expected);
  }
});

test("a table that is being made says how far it is, then is asked for again", async () => {
  const { kernel, made, told } = table();
  made.show({ name: "findings" });
  await kernel.answer(kernel.asked[0], { making: true, title: "Findings" });
  await kernel.answer(kernel.asked[1], { done: false, said: "reading \u202edumps", part: 0.5 });
  assert.equal(made.body.querySelector("progress").value, 0.5);
  assert.equal(made.scroller.getAttribute("aria-busy"), "true");
  assert.match(made.body.textContent, /reading \\u202edumps/);
  await kernel.answer(kernel.asked[1], { done: true });
  await kernel.answer(kernel.asked[2], rows(kernel.asked[2], 1));
  await frame();
  assert.deepEqual(shown(made), ["row 0"]);
  assert.equal(told[told.length - 1].total, 1);
});

test("a refusal empties the table and is told", async () => {
  const { kernel, made, told } = table();
  made.show({ name: "registers" });
  await kernel.answer(kernel.asked[0], { ok: false, error: "the file is gone" });
  assert.equal(told[0].error, "the file is gone");
  assert.equal(made.scroller.getAttribute("aria-busy"), null);
  assert.equal(made.body.children.length, 0);
});

test("keys choose rows within the table", async () => {
  const { kernel, made, told } = table();
  made.show({ name: "registers" });
  await kernel.answer(kernel.asked[0], rows(kernel.asked[0], 30));
  told.length = 0;
  for (const key of ["ArrowDown", "ArrowDown", "ArrowUp", "End", "ArrowDown", "Home"]) made.scroller.dispatchEvent(new page.window.KeyboardEvent("keydown", { key }));
  assert.deepEqual(told, [0, 1, 0, 29, 29, 0]);
});

test("cells are text, never markup", async () => {
  const { kernel, made } = table();
  made.show({ name: "notes" });
  await kernel.answer(kernel.asked[0], { from: 0, total: 1, all: 1, columns: COLUMNS, rows: [["<img src=x onerror=alert(1)>\u202e", "x".repeat(1_000_000)]] });
  await frame();
  assert.equal(made.body.querySelector("img"), null);
  assert.equal(shown(made)[0], "<img src=x onerror=alert(1)>\\u202e");
  assert.ok(made.body.textContent.length < 1000);
});

test("a click chooses the row, also where it was painted anew while the button was down", async () => {
  const { kernel, made, told } = table();
  made.show({ name: "notes" });
  await kernel.answer(kernel.asked[0], rows(kernel.asked[0], 5));
  await frame();
  told.length = 0;
  place(made.body, { top: 100 });
  const click = (/** @type {any} */ on, /** @type {number} */ y) => on.dispatchEvent(new page.window.MouseEvent("click", { bubbles: true, clientY: y }));
  click(made.body.children[3].firstChild, 0);
  click(made.body, 100 + 24 + 5);
  click(made.body, 100 + 24 * 40);
  assert.deepEqual(told, [3, 1]);
});
