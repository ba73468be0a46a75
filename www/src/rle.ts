/**
 * COCO compressed run-length masks, decoded for display only (the Rust crate owns the encoding).
 *
 * Format (pycocotools): runs of 0 and 1 alternate, column by column from the top left, starting with zeros. Each run length is a
 * signed number in 5-bit groups, low group first, `char = group + 48`, bit 5 = "more follows", bit 4 of the last group = sign; from the
 * fourth run on it is the difference to the run two before.
 */
import type { Rle } from './protocol';

/** A mask on a grid of its own, row-major, 0 or 1. */
export interface Raster {
  width: number;
  height: number;
  data: Uint8Array;
}

/** Run lengths of the string. Stops at the first byte that cannot be part of one. */
export function runs(counts: string): number[] {
  const out: number[] = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let shift = 0;
    for (;;) {
      const group = counts.charCodeAt(at++) - 48;
      if (!(group >= 0 && group < 64)) return out;
      // Multiplied, not shifted: a photo may have more pixels than 31 bits of sign-extended shifts can count safely.
      value += (group & 0x1f) * 2 ** shift;
      shift += 5;
      if (!(group & 0x20)) {
        if (group & 0x10) value -= 2 ** shift;
        break;
      }
    }
    out.push(out.length > 2 ? value + (out[out.length - 2] ?? 0) : value);
  }
  return out;
}

/** Samples the mask on a `width` × `height` grid (nearest pixel), without ever unpacking the whole photo. */
export function rasterise(rle: Rle, width: number, height: number): Raster {
  const [photoH, photoW] = rle.size;
  const data = new Uint8Array(width * height);
  if (!(photoH > 0 && photoW > 0 && width > 0 && height > 0)) return { width, height, data };
  // For each photo column, the grid columns that sample it are consecutive: first[x] .. first[x + 1].
  const column = (x: number) => Math.ceil((x * width) / photoW - 0.5);
  const row = (y: number) => Math.ceil((y * height) / photoH - 0.5);
  let at = 0;
  let one = false;
  for (const run of runs(rle.counts)) {
    const end = Math.min(at + Math.max(run, 0), photoH * photoW);
    if (one) fill(at, end);
    at = end;
    one = !one;
  }
  return { width, height, data };

  function fill(from: number, to: number): void {
    for (let x = Math.floor(from / photoH); x * photoH < to; x++) {
      const top = row(Math.max(from - x * photoH, 0));
      const bottom = row(Math.min(to - x * photoH, photoH));
      for (let gx = Math.max(column(x), 0); gx < Math.min(column(x + 1), width); gx++) {
        for (let gy = Math.max(top, 0); gy < Math.min(bottom, height); gy++) data[gy * width + gx] = 1;
      }
    }
  }
}

/** Number of set pixels of the full mask. */
export function area(rle: Rle): number {
  return runs(rle.counts).reduce((sum, run, i) => (i % 2 ? sum + run : sum), 0);
}

/** A mask on any grid as run lengths of a photo's pixels: each photo pixel has the value of the cell under its centre. */
export function encode(raster: Raster, width: number, height: number): Rle {
  const cell = (at: number, size: number, cells: number) => Math.min(cells - 1, Math.floor(((at + 0.5) * cells) / size));
  const rows = Array.from({ length: height }, (_, y) => cell(y, height, raster.height) * raster.width);
  const lengths: number[] = [];
  let value = 0;
  let length = 0;
  for (let x = 0; x < width; x++) {
    const column = cell(x, width, raster.width);
    for (const row of rows) {
      const bit = raster.data[row + column]!;
      if (bit !== value) {
        lengths.push(length);
        length = 0;
        value = bit;
      }
      length++;
    }
  }
  lengths.push(length);
  return { size: [height, width], counts: lengths.map((run, i) => group(i > 2 ? run - lengths[i - 2]! : run)).join('') };
}

/** One signed number in groups of five bits. */
function group(value: number): string {
  let out = '';
  for (let more = true; more; ) {
    // Not by shifts: see `runs`.
    const low = ((value % 32) + 32) % 32;
    value = (value - low) / 32;
    more = low & 0x10 ? value !== -1 : value !== 0;
    out += String.fromCharCode(low + (more ? 0x20 : 0) + 48);
  }
  return out;
}
