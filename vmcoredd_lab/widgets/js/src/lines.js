// Lines of the hex view as the kernel makes them, cached: each knows where the next begins.

import { parse } from "./address.js";

export const ROW = 0;
export const SAME = 1;
export const GAP = 2;
const MOST = 8192; // lines kept

/**
 * @typedef {{kind: number, start: bigint, end: bigint, bytes: Uint8Array | null, missing: number, reason: string, more: boolean}} Line
 */

/**
 * @param {any[]} told lines of a message
 * @param {Uint8Array} data 16 bytes for each line that has bytes
 * @returns {Line[]}
 */
export function unpack(told, data) {
  let at = 0;
  return told.map(([kind, start, end, missing, reason, more]) => {
    const bytes = kind === GAP ? null : data.subarray(at, at + 16);
    if (kind !== GAP) at += 16;
    return { kind, start: parse(start), end: parse(end), bytes, missing, reason, more };
  });
}

export class LineCache {
  constructor() {
    /** @type {Map<bigint, Line>} */
    this.byStart = new Map();
    /** @type {Map<bigint, bigint>} start of the line that ends at an address */
    this.byEnd = new Map();
  }

  clear() {
    this.byStart.clear();
    this.byEnd.clear();
  }

  /** @param {Line[]} lines */
  add(lines) {
    for (const line of lines) {
      this.byStart.delete(line.start); // the newest last
      this.byStart.set(line.start, line);
      this.byEnd.set(line.end, line.start);
    }
    for (const [start, line] of this.byStart) {
      if (this.byStart.size <= MOST) break;
      this.byStart.delete(start);
      if (this.byEnd.get(line.end) === start) this.byEnd.delete(line.end);
    }
  }

  /**
   * The lines from an address on, as far as they are known.
   * @param {bigint} start @param {number} count @returns {Line[]}
   */
  from(start, count) {
    /** @type {Line[]} */
    const found = [];
    let line = this.byStart.get(start);
    while (line && found.length < count) {
      found.push(line);
      line = this.byStart.get(line.end);
    }
    return found;
  }

  /**
   * Bytes of lines that are known, in one row or across two.
   * @param {bigint} address @param {number} size at most 16 @returns {Uint8Array | null} null where one is not known or missing
   */
  bytesAt(address, size) {
    const found = new Uint8Array(size);
    for (let i = 0; i < size; ) {
      const at = address + BigInt(i);
      const within = Number(at % 16n);
      const line = this.byStart.get(at - BigInt(within));
      if (!line || !line.bytes || line.missing) return null;
      const count = Math.min(size - i, 16 - within);
      found.set(line.bytes.subarray(within, within + count), i);
      i += count;
    }
    return found;
  }

  /** @param {bigint} end @returns {Line | undefined} the line that ends at an address */
  before(end) {
    const start = this.byEnd.get(end);
    return start === undefined ? undefined : this.byStart.get(start);
  }
}
