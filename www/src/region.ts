/**
 * The region that a question is about: a list of marks (box, lasso, stroke, part) with undo and redo, and what of it goes to the engine.
 *
 * Pixels of the upright photo everywhere. A region that is one box or one part goes over as such; anything else is painted and goes over as
 * a run-length mask of the photo's size, painted at most `WORK_SIDE` pixels wide, because a drawing by hand is not finer than that.
 */
import { paintPart } from './parts';
import type { Box, PartMap, Region, Request } from './protocol';
import { encode, type Raster } from './rle';

/** How a mark joins those before it. */
export type Mode = 'new' | 'add' | 'take';
export type Point = [number, number];

export type Mark =
  | { kind: 'box'; box: Box; mode: Mode }
  | { kind: 'lasso'; points: Point[]; mode: Mode }
  /** Brush and eraser; `radius` in pixels of the photo. */
  | { kind: 'stroke'; points: Point[]; radius: number; mode: 'add' | 'take' }
  /** `face`: of the face that was clicked; null for all of them. */
  | { kind: 'part'; id: string; face: number | null; mode: Mode };

/** States of the region; one step for each mark. */
export class History {
  private states: Mark[][] = [[]];
  private at = 0;

  get marks(): readonly Mark[] {
    return this.states[this.at]!;
  }

  get canUndo(): boolean {
    return this.at > 0;
  }

  get canRedo(): boolean {
    return this.at < this.states.length - 1;
  }

  /** Joins a mark. `merge`: the keyboard moves a box by many small steps, which are one step to undo. */
  push(mark: Mark, merge = false): void {
    const base = mark.mode === 'new' ? [] : this.marks;
    // Nothing can be taken away from nothing.
    if (mark.mode === 'take' && base.length === 0) return;
    // A part that is chosen once more is let go.
    const again = mark.kind === 'part' && mark.mode === 'add' ? base.findIndex((m) => m.kind === 'part' && m.id === mark.id && m.face === mark.face && m.mode !== 'take') : -1;
    const next = again >= 0 ? base.filter((_, i) => i !== again) : [...base, mark];
    if (merge && this.marks.length === 1 && this.marks[0]!.kind === mark.kind && this.canUndo) this.at--;
    this.set(next);
  }

  clear(): void {
    if (this.marks.length) this.set([]);
  }

  /** Takes over a region of an earlier question; can be undone. */
  restore(marks: readonly Mark[]): void {
    if (marks.length && marks !== this.marks) this.set([...marks]);
  }

  undo(): boolean {
    if (!this.canUndo) return false;
    this.at--;
    return true;
  }

  redo(): boolean {
    if (!this.canRedo) return false;
    this.at++;
    return true;
  }

  private set(marks: Mark[]): void {
    this.states = [...this.states.slice(0, this.at + 1), marks];
    this.at++;
  }
}

/** The photo's size and what is known of its faces' parts. */
export interface Ground {
  width: number;
  height: number;
  maps: readonly PartMap[];
  regions: readonly Region[];
}

/** The box, where the region is one. */
export function onlyBox(marks: readonly Mark[]): Box | null {
  const [mark] = marks;
  return marks.length === 1 && mark?.kind === 'box' ? mark.box : null;
}

/** The part, where the region is one. */
export function onlyPart(marks: readonly Mark[]): (Mark & { kind: 'part' }) | null {
  const [mark] = marks;
  return marks.length === 1 && mark?.kind === 'part' ? mark : null;
}

const WORK_SIDE = 1024;

/** Paints marks to a mask; keeps the last one, because the same region is shown, measured and sent. */
export class Painter {
  private marks: readonly Mark[] | null = null;
  private ground: Ground | null = null;
  private raster: Raster = { width: 1, height: 1, data: new Uint8Array(1) };
  private empty = true;

  paint(marks: readonly Mark[], ground: Ground): { raster: Raster; empty: boolean } {
    const same = this.ground && ground.width === this.ground.width && ground.height === this.ground.height && ground.maps === this.ground.maps;
    if (marks === this.marks && same) return { raster: this.raster, empty: this.empty };
    this.marks = marks;
    this.ground = ground;
    const scale = Math.min(1, WORK_SIDE / Math.max(ground.width, ground.height));
    const width = Math.max(1, Math.round(ground.width * scale));
    const height = Math.max(1, Math.round(ground.height * scale));
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const data = new Uint8Array(width * height);
    this.empty = true;
    if (context && marks.length) {
      context.scale(width / ground.width, height / ground.height);
      for (const mark of marks) draw(context, mark, ground);
      const pixels = context.getImageData(0, 0, width, height).data;
      for (let i = 0; i < data.length; i++) if (pixels[i * 4 + 3]! >= 128) (data[i] = 1), (this.empty = false);
    }
    this.raster = { width, height, data };
    return { raster: this.raster, empty: this.empty };
  }

  /** What the engine is asked about. Null: there is no region. */
  request(marks: readonly Mark[], ground: Ground): Pick<Request, 'box' | 'region' | 'mask' | 'face'> | null {
    const box = onlyBox(marks);
    if (box) return { box };
    const part = onlyPart(marks);
    if (part) return part.face === null ? { region: part.id } : { region: part.id, face: part.face };
    const { raster, empty } = this.paint(marks, ground);
    return empty ? null : { mask: encode(raster, ground.width, ground.height) };
  }
}

function draw(context: CanvasRenderingContext2D, mark: Mark, ground: Ground): void {
  context.globalCompositeOperation = mark.mode === 'take' ? 'destination-out' : 'source-over';
  context.fillStyle = context.strokeStyle = '#000';
  if (mark.kind === 'box') context.fillRect(...mark.box);
  else if (mark.kind === 'part') {
    ground.maps.forEach((map, face) => (mark.face ?? face) === face && paintPart(context, map, ground.regions, mark.id));
  } else if (mark.kind === 'lasso') context.fill(path(mark.points));
  else strokePath(context, mark.points, mark.radius);
}

/** A stroke of a round brush; one point is a dab. */
export function strokePath(context: CanvasRenderingContext2D, points: Point[], radius: number): void {
  const [first] = points;
  if (!first) return;
  context.lineCap = context.lineJoin = 'round';
  context.lineWidth = radius * 2;
  const line = path(points);
  if (points.length === 1) line.lineTo(first[0], first[1] + 1e-3);
  context.stroke(line);
}

export function path(points: Point[]): Path2D {
  const line = new Path2D();
  points.forEach(([x, y], i) => (i ? line.lineTo(x, y) : line.moveTo(x, y)));
  return line;
}
