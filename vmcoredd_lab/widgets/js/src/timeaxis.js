// Axes of the timeline: what part of a clock is shown, and where its marks stand.

export class Axis {
  /** @param {{name: string, unit: string, note: string, origin: string, max: number}} told */
  constructor(told) {
    this.name = told.name;
    this.unit = told.unit;
    this.note = told.note;
    this.origin = BigInt(told.origin);
    this.full = told.max > 0 ? told.max * 1.06 : 1;
    this.low = 0;
    this.high = 1;
    this.all();
  }

  all() {
    this.low = -this.full * 0.03;
    this.high = this.full * 1.02;
  }

  /** @param {number} x @param {number} left @param {number} width @returns {number} pixels */
  at(x, left, width) {
    return left + ((x - this.low) / (this.high - this.low)) * width;
  }

  /** @param {number} pixel @param {number} left @param {number} width */
  under(pixel, left, width) {
    return this.low + ((pixel - left) / width) * (this.high - this.low);
  }

  /** Make what is shown larger or smaller around a place. @param {number} factor below 1 zooms in @param {number} x */
  zoom(factor, x) {
    const least = this.unit === "s" ? 1000 : 2; // a microsecond, two ticks
    const span = Math.min(Math.max((this.high - this.low) * factor, least), this.full * 1.2);
    const part = (x - this.low) / (this.high - this.low);
    this.low = x - part * span;
    this.high = this.low + span;
    this.keep();
  }

  /** @param {number} by in units of the axis */
  pan(by) {
    this.low += by;
    this.high += by;
    this.keep();
  }

  keep() {
    const span = this.high - this.low;
    const low = Math.min(Math.max(this.low, -this.full * 0.1), Math.max(this.full * 1.1 - span, -this.full * 0.1));
    this.low = low;
    this.high = low + span;
  }

  /** Show a place. @param {number} x */
  reveal(x) {
    if (x >= this.low && x <= this.high) return;
    const half = (this.high - this.low) / 2;
    this.low = x - half;
    this.high = x + half;
    this.keep();
  }

  /** @param {number} width pixels @returns {{x: number, text: string}[]} */
  marks(width) {
    const scale = this.unit === "s" ? 1e9 : 1;
    const [low, high] = [this.low / scale, this.high / scale];
    const step = niceStep((high - low) / Math.max(2, width / 110));
    const origin = Number(this.origin) / scale;
    const digits = Math.min(9, Math.max(0, -Math.floor(Math.log10(step))));
    const found = [];
    for (let n = Math.ceil((low + origin) / step); n * step <= high + origin && found.length < 60; n += 1) {
      const value = n * step;
      const text = this.unit === "s" ? value.toFixed(digits) : grouped(BigInt(Math.round(value)));
      found.push({ x: (value - origin) * scale, text });
    }
    return found;
  }
}

/** @param {number} least @returns {number} 1, 2 or 5 times a power of ten, not below */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((n) => n * power >= least) || 10);
}

/** @param {bigint} value @returns {string} with commas */
export const grouped = (value) => value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/**
 * The first of sorted numbers that is not below a value.
 * @param {ArrayLike<number>} sorted @param {number} value @returns {number}
 */
export function firstNotBelow(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
