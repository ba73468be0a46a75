/**
 * Parts of the faces from the engine's label maps: which part lies under a point, and the cells of a part. Lookups only; the engine made the maps.
 */
import type { PartMap, Region } from './protocol';
import type { Raster } from './rle';

/** Labels of the leaves at or under a concept, as a table for all 256 label values. */
function labelsOf(map: PartMap, regions: readonly Region[], id: string): boolean[] {
  const parent = new Map(regions.map((r) => [r.id, r.parent]));
  return map.leaves.map((leaf) => {
    // As many steps as there are regions at most: a tree from outside might have a ring.
    for (let at: string | null = leaf, steps = regions.length + 1; at !== null && steps-- > 0; at = parent.get(at) ?? null) if (at === id) return true;
    return false;
  });
}

/** The leaf under a point of the photo. */
export function partAt(maps: readonly PartMap[], x: number, y: number): { face: number; id: string } | null {
  for (const [face, map] of maps.entries()) {
    const column = Math.floor(((x - map.box[0]) / map.box[2]) * map.side);
    const row = Math.floor(((y - map.box[1]) / map.box[3]) * map.side);
    if (column < 0 || row < 0 || column >= map.side || row >= map.side) continue;
    const id = map.leaves[map.labels[row * map.side + column] ?? 255];
    if (id) return { face, id };
  }
  return null;
}

/** Paints a part black onto a context whose units are pixels of the photo. */
export function paintPart(context: CanvasRenderingContext2D, map: PartMap, regions: readonly Region[], id: string): void {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = map.side;
  const image = new ImageData(map.side, map.side);
  const inside = labelsOf(map, regions, id);
  map.labels.forEach((label, i) => inside[label] && (image.data[i * 4 + 3] = 255));
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  context.drawImage(canvas, ...map.box);
}

/** A part of these faces on a grid over the whole photo. */
export function partRaster(maps: readonly PartMap[], regions: readonly Region[], id: string, photo: { width: number; height: number }, width: number, height: number): Raster {
  const data = new Uint8Array(width * height);
  for (const map of maps) {
    const inside = labelsOf(map, regions, id);
    const cell = (at: number, size: number, photoSize: number, from: number, extent: number) =>
      Math.floor(((((at + 0.5) / size) * photoSize - from) / extent) * map.side);
    const columns = Array.from({ length: width }, (_, x) => cell(x, width, photo.width, map.box[0], map.box[2]));
    for (let y = 0; y < height; y++) {
      const row = cell(y, height, photo.height, map.box[1], map.box[3]);
      if (row < 0 || row >= map.side) continue;
      columns.forEach((column, x) => {
        if (column >= 0 && column < map.side && inside[map.labels[row * map.side + column]!]) data[y * width + x] = 1;
      });
    }
  }
  return { width, height, data };
}
