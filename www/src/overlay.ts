/**
 * The overlay canvas: masks, face numbers and the drawn box, on top of the photo.
 *
 * Coordinates come in pixels of the upright photo and are scaled only here. A mask is never told by colour alone: each has its number, a
 * two-tone outline, and the one in focus is filled more strongly. Colours are Okabe and Ito's, safe for colour-blind eyes.
 */
import type { Box, MaskOut } from './protocol';
import { rasterise, type Raster } from './rle';

export const PALETTE = ['#56b4e9', '#e69f00', '#cc79a7', '#009e73', '#f0e442', '#d55e00', '#0072b2'] as const;

export interface OverlayMask {
  face: number;
  index: number;
  /** Number and colour shown; counts through all faces. */
  number: number;
  mask: MaskOut;
}

export interface Scene {
  width: number;
  height: number;
  faces: Box[];
  masks: OverlayMask[];
  active: { face: number; mask: number } | null;
  /** 0..1 */
  opacity: number;
  box: Box | null;
}

interface Layer {
  raster: Raster;
  fill: HTMLCanvasElement;
  edge: HTMLCanvasElement;
}

/** Masks are sampled at the size of the canvas, at most this many pixels wide or high. */
const MAX_SIDE = 1400;

export class Overlay {
  /** Drawn layers by mask, for one canvas size. */
  private layers = new WeakMap<MaskOut, Layer>();
  private size = '';

  paint(canvas: HTMLCanvasElement, scene: Scene): void {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const shown = canvas.getBoundingClientRect();
    const shrink = Math.min(1, MAX_SIDE / Math.max(shown.width * ratio, shown.height * ratio, 1));
    const width = Math.round(shown.width * ratio * shrink);
    const height = Math.round(shown.height * ratio * shrink);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    if (this.size !== `${width}x${height}`) {
      this.size = `${width}x${height}`;
      this.layers = new WeakMap();
    }
    const context = canvas.getContext('2d');
    if (!context) return;
    context.clearRect(0, 0, width, height);
    const unit = width / Math.max(shown.width, 1);
    const scale = width / scene.width;

    for (const item of scene.masks) {
      const active = scene.active?.face === item.face && scene.active.mask === item.index;
      const layer = this.layer(item, width, height);
      const others = scene.active && !active ? 0.3 : 1;
      const trust = item.mask.quality < 0.35 ? 0.55 : 1;
      context.globalAlpha = Math.min(1, scene.opacity * others * trust * (active ? 1.35 : 0.8));
      context.drawImage(layer.fill, 0, 0);
      context.globalAlpha = scene.opacity === 0 && !active ? 0 : others * (active ? 1 : trust);
      context.drawImage(layer.edge, 0, 0);
      if (active) context.drawImage(layer.edge, 0, 0);
    }
    context.globalAlpha = 1;
    if (scene.faces.length > 1) scene.faces.forEach((box, i) => drawFace(context, box, scale, unit, i + 1));
    if (scene.opacity > 0) {
      for (const item of scene.masks) {
        if (!scene.active || (scene.active.face === item.face && scene.active.mask === item.index)) drawNumber(context, item, scale, unit);
      }
    }
    if (scene.box) drawBox(context, scene.box, scale, unit);
  }

  /** The smallest mask under a point of the photo. */
  hit(scene: Scene, x: number, y: number): OverlayMask | null {
    let best: OverlayMask | null = null;
    let bestArea = Infinity;
    for (const item of scene.masks) {
      const raster = this.layers.get(item.mask)?.raster;
      if (!raster) continue;
      const column = Math.floor((x / scene.width) * raster.width);
      const row = Math.floor((y / scene.height) * raster.height);
      const size = item.mask.bbox[2] * item.mask.bbox[3];
      if (raster.data[row * raster.width + column] && size < bestArea) {
        best = item;
        bestArea = size;
      }
    }
    return best;
  }

  private layer(item: OverlayMask, width: number, height: number): Layer {
    const known = this.layers.get(item.mask);
    if (known) return known;
    const raster = rasterise(item.mask.rle, width, height);
    const layer = { raster, ...draw(raster, PALETTE[(item.number - 1) % PALETTE.length]!) };
    this.layers.set(item.mask, layer);
    return layer;
  }
}

/** Fill and outline of one mask. The outline is light inside and dark outside, so that it shows on any photo. */
function draw(raster: Raster, colour: string): { fill: HTMLCanvasElement; edge: HTMLCanvasElement } {
  const { width, height, data } = raster;
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)) as [number, number, number];
  const fill = new ImageData(width, height);
  const edge = new ImageData(width, height);
  const set = (x: number, y: number) => x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] === 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      const inside = set(x, y);
      if (inside) fill.data.set([r, g, b, 150], at);
      const near = set(x - 1, y) !== inside || set(x + 1, y) !== inside || set(x, y - 1) !== inside || set(x, y + 1) !== inside;
      const close = near || set(x - 2, y) !== inside || set(x + 2, y) !== inside || set(x, y - 2) !== inside || set(x, y + 2) !== inside;
      if (close) edge.data.set(inside ? [r, g, b, 255] : [16, 20, 28, near ? 230 : 140], at);
    }
  }
  return { fill: canvasOf(fill), edge: canvasOf(edge) };
}

function canvasOf(image: ImageData): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}

/** The number stands beside the mask, never on the evidence itself. */
function drawNumber(context: CanvasRenderingContext2D, item: OverlayMask, scale: number, unit: number): void {
  const [x, y] = item.mask.bbox;
  const radius = 9 * unit;
  const inside = (at: number, max: number) => Math.min(Math.max(at, radius + unit), max - radius - unit);
  const left = inside(x * scale - radius * 0.9, context.canvas.width);
  const top = inside(y * scale - radius * 0.9, context.canvas.height);
  disc(context, left, top, radius, PALETTE[(item.number - 1) % PALETTE.length]!, String(item.number), unit);
}

function disc(context: CanvasRenderingContext2D, x: number, y: number, radius: number, colour: string, text: string, unit: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, Math.PI * 2);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5 * unit;
  context.strokeStyle = '#10141c';
  context.stroke();
  context.fillStyle = colour === '#0072b2' ? '#ffffff' : '#10141c';
  context.font = `600 ${12 * unit}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(text, x, y + unit * 0.5);
}

function drawFace(context: CanvasRenderingContext2D, box: Box, scale: number, unit: number, number: number): void {
  const [x, y, w, h] = box.map((v) => v * scale) as Box;
  twoTone(context, unit, [], () => context.strokeRect(x, y, w, h));
  const size = 20 * unit;
  const top = Math.max(0, y - size);
  context.fillStyle = '#10141c';
  context.fillRect(x, top, size * 3.1, size);
  context.fillStyle = '#ffffff';
  context.font = `600 ${12 * unit}px system-ui, sans-serif`;
  context.textAlign = 'left';
  context.textBaseline = 'middle';
  context.fillText(`Face ${number}`, x + 7 * unit, top + size / 2);
}

function drawBox(context: CanvasRenderingContext2D, box: Box, scale: number, unit: number): void {
  const [x, y, w, h] = box.map((v) => v * scale) as Box;
  twoTone(context, unit * 1.3, [6 * unit, 4 * unit], () => context.strokeRect(x, y, w, h));
}

function twoTone(context: CanvasRenderingContext2D, unit: number, dash: number[], stroke: () => void): void {
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
