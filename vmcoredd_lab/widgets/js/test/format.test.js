import assert from "node:assert/strict";
import { test } from "node:test";

import { atShare, clamp, humanSize, parse, rowOf, share, shown, wire } from "../src/address.js";
import { COPY, byteClass, inspect } from "../src/format.js";
import { GAP, LineCache, ROW, SAME, unpack } from "../src/lines.js";
import { Wire } from "../src/wire.js";
import { inert } from "../src/dom.js";

const bytes = (/** @type {string} */ text) => Uint8Array.from(text.split(" "), (b) => parseInt(b, 16));

test("addresses beyond 2**53 stay exact on their way", () => {
  for (const text of ["ffffffffffffffff", "20000000000001", "0", "7fffffffffffffff"]) assert.equal(wire(parse(text)), text);
});

test("an address is as wide as its space needs, 8 digits at least", () => {
  assert.equal(shown(0x10n, 0x100n), "00000010");
  assert.equal(shown(0x10n, 1n << 40n), "0000000010");
  assert.equal(shown(0x10n, 0x100n, 0x20n), "-00000010");
});

test("a place on the scroll bar of a terabyte and back is off by less than a billionth", () => {
  const end = 1n << 40n;
  const at = 0x123456789an;
  const back = atShare(share(at, 0n, end), 0n, end);
  assert.ok(at - back >= 0n && at - back < end / 100000000n);
  assert.equal(atShare(2, 0n, end), end);
});

test("rows begin at multiples of 16", () => {
  assert.equal(rowOf(0x1fn), 0x10n);
  assert.equal(clamp(5n, 0n, 3n), 3n);
  assert.equal(humanSize(1n << 40n), "1.0 TiB");
});

test("bytes have classes", () => {
  assert.deepEqual([0, 255, 65, 10, 1, 200].map(byteClass), ["z", "f", "p", "w", "c", "h"]);
});

test("copies are what each language reads back", () => {
  const data = bytes("00 41 ff");
  assert.equal(COPY.hex(data), "00 41 ff");
  assert.equal(COPY.text(data), ".A.");
  assert.equal(COPY.python(data), 'bytes.fromhex("0041ff")');
  assert.match(COPY.c(data), /data\[3\] = \{\n {2}0x00, 0x41, 0xff\n\}/);
});

test("the inspector reads both byte orders", () => {
  const data = bytes("01 02 03 04 05 06 07 08");
  const little = new Map(inspect(data, true));
  const big = new Map(inspect(data, false));
  assert.equal(little.get("u16"), "513  0x201");
  assert.equal(big.get("u16"), "258  0x102");
  assert.equal(big.get("u64"), "72623859790382856  0x102030405060708");
  assert.equal(big.get("IPv4"), "1.2.3.4");
  assert.equal(little.get("IPv4"), "4.3.2.1");
  assert.equal(big.get("MAC"), "01:02:03:04:05:06");
  assert.equal(little.get("time32"), new Date(0x04030201 * 1000).toISOString().replace("T", " ").replace("Z", " UTC"));
});

test("kinds that need more bytes are left out", () => {
  assert.deepEqual(inspect(bytes("80"), true).map(([k]) => k), ["u8", "i8"]);
});

test("lines take their bytes in order, gaps take none", () => {
  const data = Uint8Array.from({ length: 32 }, (_, i) => i);
  const lines = unpack([[ROW, "0", "10", 0, "", false], [GAP, "10", "1000", 0, "absent", false], [SAME, "1000", "2000", 0, "", true]], data);
  assert.equal(lines[0].bytes?.[0], 0);
  assert.equal(lines[1].bytes, null);
  assert.equal(lines[2].bytes?.[0], 16);
});

test("the cache follows lines forward and backward and forgets the oldest", () => {
  const cache = new LineCache();
  const lines = unpack(Array.from({ length: 9000 }, (_, i) => [GAP, (i * 16).toString(16), (i * 16 + 16).toString(16), 0, "", false]), new Uint8Array());
  cache.add(lines);
  assert.equal(cache.from(8999n * 16n, 5).length, 1);
  assert.equal(cache.before(8999n * 16n)?.start, 8998n * 16n);
  assert.equal(cache.from(0n, 5).length, 0);
  assert.ok(cache.byStart.size <= 8192 && cache.byEnd.size <= 8192);
});

test("an answer finds the request with its id, whatever the order", async () => {
  /** @type {any[]} */
  const sent = [];
  const model = { on() {}, off() {}, send: (/** @type {any} */ m) => sent.push(m) };
  const line = new Wire(model);
  const first = line.ask("a", {});
  const second = line.ask("b", {});
  line.received({ id: sent[1].id, ok: true, x: 2 }, []);
  line.received({ id: sent[0].id, ok: false, error: "no" }, []);
  assert.equal((await second).message.x, 2);
  await assert.rejects(first, /no/);
  line.received({ id: "somebody's", ok: true }, []);
  line.close();
});

test("text that could change the page is made visible", () => {
  assert.equal(inert("a\u202eb\u001b[2J\u0000"), "a\\u202eb\\u001b[2J\\u0000");
  assert.equal(inert("<script>"), "<script>");
  assert.equal(inert("\ud800x"), "\\ud800x");
  assert.equal(inert("x".repeat(5000)).length, 4001);
});
