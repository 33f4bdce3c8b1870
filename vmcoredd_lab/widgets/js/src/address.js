// Addresses are BigInt: a vmcore's go up to 2**64, JavaScript's numbers end at 2**53.

/** @param {string} text hexadecimal digits @returns {bigint} */
export const parse = (text) => BigInt("0x" + (text || "0"));

/** @param {bigint} address @returns {string} hexadecimal digits, as messages carry them */
export const wire = (address) => address.toString(16);

/**
 * How an address is shown: hexadecimal, as wide as the space's last address needs, 8 digits at least.
 * @param {bigint} address
 * @param {bigint} end
 * @param {bigint} [base] what is subtracted, where people counted from somewhere else
 */
export function shown(address, end, base = 0n) {
  const value = address - base;
  const width = Math.max(8, (end > 0n ? end - 1n : 0n).toString(16).length);
  const digits = (value < 0n ? -value : value).toString(16).padStart(width, "0");
  return value < 0n ? "-" + digits : digits;
}

/** @param {bigint} a @param {bigint} low @param {bigint} high @returns {bigint} */
export const clamp = (a, low, high) => (a < low ? low : a > high ? high : a);

/** @param {bigint} a @returns {bigint} the address of the row */
export const rowOf = (a) => a - (a % 16n);

/**
 * Where an address is within a space, from 0 to 1, exact enough for a scroll bar.
 * @param {bigint} a @param {bigint} start @param {bigint} end
 */
export function share(a, start, end) {
  const whole = end - start;
  return whole <= 0n ? 0 : Number(((a - start) * 1000000000n) / whole) / 1e9;
}

/**
 * The address at a share of a space.
 * @param {number} part from 0 to 1 @param {bigint} start @param {bigint} end
 */
export function atShare(part, start, end) {
  const millionths = BigInt(Math.round(Math.min(1, Math.max(0, part)) * 1e9));
  return start + ((end - start) * millionths) / 1000000000n;
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** @param {bigint} size @returns {string} */
export function humanSize(size) {
  let unit = 0;
  let value = Number(size);
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : size} ${UNITS[unit]}`;
}
