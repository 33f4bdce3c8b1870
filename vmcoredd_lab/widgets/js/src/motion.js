// Where the keys of the grid lead.

import { clamp, rowOf } from "./address.js";
import { ROW } from "./lines.js";

/**
 * The place of the cursor after a key, and the lines that the screen moves with it; null for keys that move nothing.
 * @param {string} key @param {boolean} control
 * @param {{cursor: bigint, start: bigint, end: bigint, rows: number, line: import("./lines.js").Line | undefined}} now the line is
 *   that of the cursor where it is on screen: one that stands for many is passed at once
 * @returns {{cursor: bigint, lines: number} | null}
 */
export function moved(key, control, { cursor, start, end, rows, line }) {
  const last = end > 0n ? end - 1n : 0n;
  const many = line && line.kind !== ROW ? line : null;
  const down = many ? many.end - cursor : 16n;
  const page = rows - 1;
  let to;
  let lines = 0;
  switch (key) {
    case "ArrowRight": to = cursor + (many ? down : 1n); break;
    case "ArrowLeft": to = cursor - 1n; break;
    case "ArrowDown": to = cursor + down; break;
    case "ArrowUp": to = cursor - (many ? cursor - many.start + 16n : 16n); break;
    case "PageDown": lines = page; to = cursor + 16n * BigInt(page); break;
    case "PageUp": lines = -page; to = cursor - 16n * BigInt(page); break;
    case "Home": to = control ? start : rowOf(cursor); break;
    case "End": to = control ? last : rowOf(cursor) + 15n; break;
    default: return null;
  }
  return { cursor: clamp(to, start, last), lines };
}
