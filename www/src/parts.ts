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

/** Share of a region's cells on the face that a concept must hold to give the region its name. */
const MOST = 0.6;

/** A name for a drawing: the deepest concept of the tree that holds most of it. Null where it touches no part. */
export function placeOf(maps: readonly PartMap[], regions: readonly Region[], region: Raster, photo: { width: number; height: number }): string | null {
  const sums = new Map<string, number>();
  const parent = new Map(regions.map((r) => [r.id, r.parent]));
  let all = 0;
  for (const map of maps) {
    const counts = new Uint32Array(256);
    const cell = (at: number, from: number, extent: number, size: number, cells: number) => Math.floor(((from + ((at + 0.5) * extent) / map.side) / size) * cells);
    const columns = Array.from({ length: map.side }, (_, x) => cell(x, map.box[0], map.box[2], photo.width, region.width));
    for (let y = 0; y < map.side; y++) {
      const row = cell(y, map.box[1], map.box[3], photo.height, region.height);
      if (row < 0 || row >= region.height) continue;
      for (let x = 0; x < map.side; x++) {
        const column = columns[x]!;
        if (column >= 0 && column < region.width && region.data[row * region.width + column]) counts[map.labels[y * map.side + x]!]!++;
      }
    }
    map.leaves.forEach((leaf, label) => {
      const count = counts[label]!;
      all += count;
      for (let at: string | null = count ? leaf : null, steps = regions.length + 1; at !== null && steps-- > 0; at = parent.get(at) ?? null) sums.set(at, (sums.get(at) ?? 0) + count);
    });
  }
  // From the leaf up sums only grow, so the smallest one that is large enough is the deepest.
  const enough = [...sums].filter(([, sum]) => sum >= all * MOST).sort(([, a], [, b]) => a - b);
  return enough[0]?.[0] ?? null;
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
