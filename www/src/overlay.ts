/**
 * The overlay canvas: masks, face numbers, the marked region, the part under the pointer and the brush's ring, on top of the photo.
 *
 * Coordinates come in pixels of the upright photo and are scaled only here. A mask is never told by colour alone: each has its number, its
 * own hatch and a two-tone outline, and the one in focus is filled more strongly. A mask that the model itself trusts little is dimmed and
 * its outline is broken.
 */
import { drawBox, drawDraft, drawFace, drawName, drawNumber, drawRing, layerOf, numberPlaces, type Layer } from './overlay-draw';
import { PALETTE } from './palette';
import type { Box, MaskOut } from './protocol';
import type { Point } from './region';
import type { Draft } from './region-state';
import { rasterise, type Raster } from './rle';

/** Below this quality a mask is called weak. */
export const WEAK = 0.35;

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
  faces: { box: Box; name: string }[];
  masks: OverlayMask[];
  active: { face: number; mask: number } | null;
  /** 0..1 */
  opacity: number;
  hatch: boolean;
  /** Share of the width, from the left, on which nothing is marked; null for none. */
  split: number | null;
  /** The marked region: as a mask, and as a box where it is one. */
  region: Raster | null;
  box: Box | null;
  draft: Draft | null;
  /** The part under the pointer or in focus. `raster` samples it on a grid over the photo. */
  part: { key: string; name: string; raster(width: number, height: number): Raster } | null;
  cursor: { at: Point; radius: number | null } | null;
}

/** Masks are sampled at the size of the canvas, at most this many pixels wide or high. */
const MAX_SIDE = 2400;

export class Overlay {
  /** Drawn layers by mask, for one canvas size. */
  private layers = new WeakMap<object, Layer>();
  private parts = new Map<string, Layer>();
  private size = '';
  private hatch = true;

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
    const context = canvas.getContext('2d');
    if (!context) return;
    context.clearRect(0, 0, width, height);
    this.draw(context, scene, width / Math.max(shown.width, 1));
  }

  /** Another photo: it may have the same part names in other places, and the layers of the one before are drawn again when it comes back. */
  forget(): void {
    this.layers = new WeakMap();
    this.parts.clear();
  }

  /** `unit`: canvas pixels in one pixel of the screen. */
  draw(context: CanvasRenderingContext2D, scene: Scene, unit: number): void {
    const { width, height } = context.canvas;
    if (this.size !== `${width}x${height}` || this.hatch !== scene.hatch) {
      this.size = `${width}x${height}`;
      this.hatch = scene.hatch;
      this.layers = new WeakMap();
      this.parts.clear();
    }
    const scale = width / scene.width;
    context.save();
    if (scene.split !== null) {
      context.beginPath();
      context.rect(width * scene.split, 0, width, height);
      context.clip();
    }
    for (const item of scene.masks) {
      const active = isActive(scene, item);
      const weak = item.mask.quality < WEAK;
      const layer = this.layer(item.mask, () => rasterise(item.mask.rle, width, height), { number: item.number, weak, unit });
      const others = scene.active && !active ? 0.3 : 1;
      const trust = weak ? 0.55 : 1;
      put(context, layer, layer.fill, Math.min(1, scene.opacity * others * trust * (active ? 1.35 : 0.8)));
      put(context, layer, layer.edge, scene.opacity === 0 && !active ? 0 : others * (active ? 1 : trust));
      if (active) put(context, layer, layer.edge, 1);
    }
    scene.faces.forEach((face) => drawFace(context, face.box, scale, unit, face.name));
    if (scene.opacity > 0) {
      // Of all masks, so that no number moves when one is in focus.
      const places = numberPlaces(scene.masks.map((item) => item.mask.bbox), [width, height], scale, unit);
      scene.masks.forEach((item, i) => {
        if (!scene.active || isActive(scene, item)) drawNumber(context, places[i]!, item.number, unit);
      });
    }
    if (scene.box) drawBox(context, scene.box, scale, unit);
    else if (scene.region) {
      const region = scene.region;
      const layer = this.layer(region, () => resample(region, width, height), { number: 0, weak: false, unit });
      put(context, layer, layer.fill, 0.55);
      put(context, layer, layer.edge, 1);
    }
    context.restore();
    if (scene.part) {
      const layer = this.part(scene.part, width, height, unit);
      put(context, layer, layer.fill, 0.6);
      put(context, layer, layer.edge, 1);
    }
    if (scene.draft) drawDraft(context, scene.draft, scale, unit);
    if (scene.cursor) drawRing(context, scene.cursor.at, scene.cursor.radius, scale, unit);
    if (scene.part && scene.cursor) drawName(context, scene.cursor.at, scene.part.name, scale, unit);
  }

  /** The smallest mask under a point of the photo. */
  hit(scene: Scene, x: number, y: number): OverlayMask | null {
    let best: OverlayMask | null = null;
    let bestArea = Infinity;
    if (scene.split !== null && x < scene.width * scene.split) return null;
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

  private layer(key: object, raster: () => Raster, look: { number: number; weak: boolean; unit: number }): Layer {
    const known = this.layers.get(key);
    if (known) return known;
    const layer = layerOf(raster(), { ...look, colour: look.number ? PALETTE[(look.number - 1) % PALETTE.length]! : '#ffffff', hatch: this.hatch && look.number > 0 });
    this.layers.set(key, layer);
    return layer;
  }

  private part(part: NonNullable<Scene['part']>, width: number, height: number, unit: number): Layer {
    const known = this.parts.get(part.key);
    if (known) return known;
    const layer = layerOf(part.raster(width, height), { number: 0, weak: false, unit, colour: '#ffffff', hatch: false });
    this.parts.set(part.key, layer);
    return layer;
  }
}

function isActive(scene: Scene, item: OverlayMask): boolean {
  return scene.active?.face === item.face && scene.active.mask === item.index;
}

function put(context: CanvasRenderingContext2D, layer: Layer, image: HTMLCanvasElement, alpha: number): void {
  if (alpha <= 0 || !image.width) return;
  context.globalAlpha = Math.min(1, alpha);
  context.drawImage(image, layer.x, layer.y);
  context.globalAlpha = 1;
}

/** Nearest cells of a mask on another grid over the same photo. */
function resample(raster: Raster, width: number, height: number): Raster {
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * raster.height) / height) * raster.width;
    for (let x = 0; x < width; x++) data[y * width + x] = raster.data[row + Math.floor(((x + 0.5) * raster.width) / width)]!;
  }
  return { width, height, data };
}
