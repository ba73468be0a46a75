/**
 * How single things look on the overlay canvas: a mask's fill, hatch and outline, numbers, faces, boxes, drafts, the ring of a brush.
 *
 * Every line is two-toned, light with a dark rim, so that it shows on any photo. Colours are Okabe and Ito's, safe for colour-blind eyes; the
 * hatch differs from mask to mask, so that two of them are told apart without colour, too. `scale`: canvas pixels in a photo pixel.
 */
import { PALETTE } from './palette';
import type { Box } from './protocol';
import { path, strokePath, type Point } from './region';
import type { Draft } from './region-state';
import type { Raster } from './rle';

const DARK = '#10141c';

/** One mask, drawn once: only as large as the mask. */
export interface Layer {
  raster: Raster;
  x: number;
  y: number;
  fill: HTMLCanvasElement;
  edge: HTMLCanvasElement;
}

export interface Look {
  /** Chooses the hatch; 0 for none. */
  number: number;
  colour: string;
  hatch: boolean;
  weak: boolean;
  unit: number;
}

/** Distance along which a hatch repeats: diagonals, the other diagonals, upright, level, crossed, wide diagonals, dots. */
const HATCHES: ((x: number, y: number, p: number) => boolean)[] = [
  (x, y, p) => (x + y) % p < p / 4,
  (x, y, p) => (((x - y) % p) + p) % p < p / 4,
  (x, _, p) => x % p < p / 4,
  (_, y, p) => y % p < p / 4,
  (x, y, p) => x % p < p / 5 || y % p < p / 5,
  (x, y, p) => (x + y) % (2 * p) < p / 3,
  (x, y, p) => x % p < p / 2.5 && y % p < p / 2.5,
];

export function layerOf(raster: Raster, look: Look): Layer {
  const { width, height, data } = raster;
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width, (y + 1) * width);
    const first = row.indexOf(1);
    if (first < 0) continue;
    left = Math.min(left, first);
    right = Math.max(right, row.lastIndexOf(1));
    top = Math.min(top, y);
    bottom = y;
  }
  if (right < 0) return { raster, x: 0, y: 0, fill: canvasOf(null), edge: canvasOf(null) };
  // Room for the outline.
  const [x0, y0, x1, y1] = [left - 2, top - 2, right + 3, bottom + 3];
  const rgb = [1, 3, 5].map((at) => parseInt(look.colour.slice(at, at + 2), 16)) as [number, number, number];
  const fill = new ImageData(x1 - x0, y1 - y0);
  const edge = new ImageData(x1 - x0, y1 - y0);
  const set = (x: number, y: number) => x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] === 1;
  const period = Math.max(6, Math.round(9 * look.unit));
  const dash = Math.max(3, Math.round(4 * look.unit));
  const hatch = HATCHES[(look.number + HATCHES.length - 1) % HATCHES.length]!;
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      const at = ((y - y0) * (x1 - x0) + x - x0) * 4;
      const inside = set(x, y);
      if (inside) fill.data.set([...rgb, !look.hatch ? 150 : hatch(x, y, period) ? 215 : 105], at);
      if (look.weak && Math.floor((x + y) / dash) % 2) continue;
      const near = set(x - 1, y) !== inside || set(x + 1, y) !== inside || set(x, y - 1) !== inside || set(x, y + 1) !== inside;
      const close = near || set(x - 2, y) !== inside || set(x + 2, y) !== inside || set(x, y - 2) !== inside || set(x, y + 2) !== inside;
      if (close) edge.data.set(inside ? [...rgb, 255] : [16, 20, 28, near ? 230 : 140], at);
    }
  }
  return { raster, x: x0, y: y0, fill: canvasOf(fill), edge: canvasOf(edge) };
}

function canvasOf(image: ImageData | null): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = image?.width ?? 0;
  canvas.height = image?.height ?? 0;
  if (image) canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}

const RADIUS = 9;

/**
 * Where the numbers of masks stand, in canvas pixels: beside the mask, never on the evidence itself, and not on one another. Each takes the
 * first free corner of its mask's box, from the upper left; where none is free, the one farthest from its neighbours.
 */
export function numberPlaces(boxes: Box[], [width, height]: Point, scale: number, unit: number): Point[] {
  const radius = RADIUS * unit;
  const inside = (at: number, max: number) => Math.min(Math.max(at, radius + unit), max - radius - unit);
  const taken: Point[] = [];
  for (const [x, y, w, h] of boxes) {
    const columns = [x * scale - radius * 0.9, (x + w) * scale + radius * 0.9];
    const rows = [y * scale - radius * 0.9, (y + h) * scale + radius * 0.9];
    const corners = rows.flatMap((top) => columns.map((left): Point => [inside(left, width), inside(top, height)]));
    const room = ([left, top]: Point) => Math.min(...taken.map(([x, y]) => Math.hypot(left - x, top - y)), Infinity);
    const roomy = (a: Point, b: Point) => (room(b) > room(a) ? b : a);
    taken.push(corners.find((corner) => room(corner) >= 2 * radius) ?? corners.reduce(roomy));
  }
  return taken;
}

export function drawNumber(context: CanvasRenderingContext2D, [left, top]: Point, number: number, unit: number): void {
  const radius = RADIUS * unit;
  const colour = PALETTE[(number - 1) % PALETTE.length]!;
  context.beginPath();
  context.arc(left, top, radius, 0, Math.PI * 2);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5 * unit;
  context.strokeStyle = DARK;
  context.stroke();
  text(context, String(number), left, top + unit * 0.5, unit, colour === '#0072b2' ? '#ffffff' : DARK, 'center');
}

/** A frame with its name on a dark tab. */
export function drawFace(context: CanvasRenderingContext2D, box: Box, scale: number, unit: number, name: string): void {
  const [x, y, w, h] = box.map((v) => v * scale) as Box;
  twoTone(context, unit, [], () => context.strokeRect(x, y, w, h));
  tab(context, x, Math.max(0, y - 20 * unit), name, unit);
}

/** The name of the part under the pointer, above it and within the canvas. */
export function drawName(context: CanvasRenderingContext2D, [x, y]: Point, name: string, scale: number, unit: number): void {
  const wide = width(context, name, unit);
  const left = Math.min(Math.max(0, x * scale - wide / 2), Math.max(0, context.canvas.width - wide));
  const above = y * scale - 34 * unit;
  tab(context, left, above < 0 ? y * scale + 16 * unit : above, name, unit);
}

function tab(context: CanvasRenderingContext2D, x: number, y: number, name: string, unit: number): void {
  context.fillStyle = DARK;
  context.fillRect(x, y, width(context, name, unit), 20 * unit);
  text(context, name, x + 7 * unit, y + 10 * unit, unit, '#ffffff', 'left');
}

function width(context: CanvasRenderingContext2D, name: string, unit: number): number {
  context.font = font(unit);
  return context.measureText(name).width + 14 * unit;
}

const font = (unit: number) => `600 ${12 * unit}px system-ui, sans-serif`;

function text(context: CanvasRenderingContext2D, words: string, x: number, y: number, unit: number, colour: string, align: CanvasTextAlign): void {
  context.fillStyle = colour;
  context.font = font(unit);
  context.textAlign = align;
  context.textBaseline = 'middle';
  context.fillText(words, x, y);
}

export function drawBox(context: CanvasRenderingContext2D, box: Box, scale: number, unit: number): void {
  const [x, y, w, h] = box.map((v) => v * scale) as Box;
  twoTone(context, unit * 1.3, [6 * unit, 4 * unit], () => context.strokeRect(x, y, w, h));
}

/** What is being drawn: exactly the pixels that it will take or give. */
export function drawDraft(context: CanvasRenderingContext2D, draft: Draft, scale: number, unit: number): void {
  if (draft.kind === 'box') return drawBox(context, draft.box, scale, unit);
  const points = draft.points.map(([x, y]) => [x * scale, y * scale] as Point);
  if (draft.kind === 'lasso') {
    context.fillStyle = 'rgba(255, 255, 255, 0.25)';
    context.fill(path(points));
    return twoTone(context, unit, [6 * unit, 4 * unit], () => context.stroke(path(points)));
  }
  context.strokeStyle = draft.erase ? 'rgba(16, 20, 28, 0.55)' : 'rgba(255, 255, 255, 0.55)';
  strokePath(context, points, draft.radius * scale);
}

/** The ring of a brush in its true size, or a small cross. */
export function drawRing(context: CanvasRenderingContext2D, [x, y]: Point, radius: number | null, scale: number, unit: number): void {
  const [cx, cy] = [x * scale, y * scale];
  const arm = 5 * unit;
  twoTone(context, unit * 0.8, [], () => {
    context.beginPath();
    if (radius !== null) context.arc(cx, cy, radius * scale, 0, Math.PI * 2);
    if (radius === null || radius * scale > 2.5 * arm) {
      context.moveTo(cx - arm, cy);
      context.lineTo(cx + arm, cy);
      context.moveTo(cx, cy - arm);
      context.lineTo(cx, cy + arm);
    }
    context.stroke();
  });
}

function twoTone(context: CanvasRenderingContext2D, unit: number, dash: number[], stroke: () => void): void {
  context.lineCap = 'butt';
  context.setLineDash([]);
  context.lineWidth = 3.5 * unit;
  context.strokeStyle = 'rgba(16, 20, 28, 0.75)';
  stroke();
  context.setLineDash(dash);
  context.lineWidth = 1.5 * unit;
  context.strokeStyle = '#ffffff';
  stroke();
  context.setLineDash([]);
}
