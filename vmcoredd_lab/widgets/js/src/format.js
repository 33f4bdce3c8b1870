// Bytes as people read and copy them.

/** @param {number} b @returns {string} the class of a byte: what colour it gets */
export function byteClass(b) {
  if (b === 0) return "z"; // zero
  if (b === 0xff) return "f"; // all ones
  if (b >= 0x20 && b < 0x7f) return "p"; // printable
  if (b === 9 || b === 10 || b === 13) return "w"; // white space
  return b < 0x80 ? "c" : "h"; // control, high
}

/** @param {number} b */
export const hex2 = (b) => b.toString(16).padStart(2, "0");

/** @param {number} b @returns {string} one character, never anything that could change the page's direction or end a line */
export const printable = (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : ".");

/** @type {Record<string, (bytes: Uint8Array) => string>} */
export const COPY = {
  hex: (bytes) => Array.from(bytes, hex2).join(" "),
  text: (bytes) => Array.from(bytes, (b) => (b === 10 || b === 9 ? String.fromCharCode(b) : printable(b))).join(""),
  python: (bytes) => 'bytes.fromhex("' + Array.from(bytes, hex2).join("") + '")',
  c: (bytes) => {
    const cells = Array.from(bytes, (b) => "0x" + hex2(b));
    const rows = [];
    for (let i = 0; i < cells.length; i += 12) rows.push("  " + cells.slice(i, i + 12).join(", "));
    return `static const unsigned char data[${bytes.length}] = {\n${rows.join(",\n")}\n};\n`;
  },
};

/**
 * What the bytes at the cursor could be, in one byte order.
 * @param {Uint8Array} bytes
 * @param {boolean} little
 * @returns {[string, string][]} pairs of kind and value; kinds that need more bytes than there are are left out
 */
export function inspect(bytes, little) {
  /** @type {[string, string][]} */
  const found = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const n = bytes.byteLength;
  const both = (/** @type {bigint | number} */ v) => `${v}  0x${v.toString(16)}`;
  if (n >= 1) found.push(["u8", both(view.getUint8(0))], ["i8", String(view.getInt8(0))]);
  if (n >= 2) found.push(["u16", both(view.getUint16(0, little))], ["i16", String(view.getInt16(0, little))]);
  if (n >= 4) {
    found.push(["u32", both(view.getUint32(0, little))], ["i32", String(view.getInt32(0, little))]);
    found.push(["f32", String(view.getFloat32(0, little))]);
    found.push(["time32", time(BigInt(view.getUint32(0, little)) * 1000n)]);
    const four = [0, 1, 2, 3].map((i) => bytes[little ? 3 - i : i]);
    found.push(["IPv4", four.join(".")]);
  }
  if (n >= 6) found.push(["MAC", Array.from(bytes.slice(0, 6), hex2).map((_, i, all) => all[little ? 5 - i : i]).join(":")]);
  if (n >= 8) {
    const wide = view.getBigUint64(0, little);
    found.push(["u64", both(wide)], ["i64", String(view.getBigInt64(0, little))], ["f64", String(view.getFloat64(0, little))]);
    found.push(["time64", time(wide * 1000n)], ["time64 ns", time(wide / 1000000n)]);
  }
  return found;
}

/** @param {bigint} milliseconds since 1970 @returns {string} UTC, or a dash where it is no date */
function time(milliseconds) {
  if (milliseconds > 8640000000000000n) return "–";
  const date = new Date(Number(milliseconds));
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().replace("T", " ").replace("Z", " UTC");
}
