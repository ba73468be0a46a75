/**
 * State of the tools on the photo: which tool, how a mark joins, the region with its history, the part under the pointer, the cursor.
 * No rendering and no events in here; `tools.ts` turns pointers and keys into calls of this.
 */
import { partAt, placeOf } from './parts';
import type { Box, PartMap, Region, Request } from './protocol';
import { History, Painter, onlyBox, onlyPart, type Ground, type Mark, type Mode, type Point } from './region';
import type { Raster } from './rle';

export const TOOLS = ['look', 'part', 'box', 'lasso', 'brush', 'eraser', 'pan'] as const;
export type Tool = (typeof TOOLS)[number];

/** What is being drawn right now. */
export type Draft = { kind: 'box'; box: Box } | { kind: 'lasso'; points: Point[] } | { kind: 'stroke'; points: Point[]; radius: number; erase: boolean };

export class RegionState {
  tool: Tool = 'look';
  mode: Mode = 'new';
  /** Radius of brush and eraser, pixels of the photo. */
  radius = 20;
  draft: Draft | null = null;
  /** Part under the pointer or in focus in the tree; `face` as in a mark. */
  hover: { id: string; face: number | null } | null = null;
  /** Item of the tree that Tab reaches. */
  treeAt = '';
  /** Where pointer or keyboard stand on the photo; null when neither is there. */
  cursor: Point | null = null;
  maps: PartMap[] = [];
  regions: readonly Region[] = [];
  private history = new History();
  private painter = new Painter();
  private size = { width: 1, height: 1 };
  private placed: { raster: Raster; maps: PartMap[]; id: string | null } | null = null;

  constructor(private readonly changed: () => void) {}

  get ground(): Ground {
    return { ...this.size, maps: this.maps, regions: this.regions };
  }

  get marks(): readonly Mark[] {
    return this.history.marks;
  }

  get canUndo(): boolean {
    return this.history.canUndo;
  }

  get canRedo(): boolean {
    return this.history.canRedo;
  }

  /** The box, finished or being drawn. */
  get box(): Box | null {
    return this.draft?.kind === 'box' ? this.draft.box : onlyBox(this.marks);
  }

  get part(): string | null {
    return onlyPart(this.marks)?.id ?? null;
  }

  /** Null when nothing is marked. */
  get raster(): Raster | null {
    if (!this.marks.length) return null;
    const { raster, empty } = this.painter.paint(this.marks, this.ground);
    return empty ? null : raster;
  }

  /** The concept that holds most of what is marked: a name for it. */
  get place(): string | null {
    const raster = this.raster;
    if (!raster) return null;
    if (this.placed?.raster !== raster || this.placed.maps !== this.maps) {
      this.placed = { raster, maps: this.maps, id: this.part ?? placeOf(this.maps, this.regions, raster, this.size) };
    }
    return this.placed.id;
  }

  get request(): Pick<Request, 'box' | 'region' | 'mask' | 'face'> | null {
    return this.marks.length ? this.painter.request(this.marks, this.ground) : null;
  }

  /** Whether a part is in the region as such, for the tree. */
  has(id: string): boolean {
    return this.marks.some((mark) => mark.kind === 'part' && mark.id === id && mark.mode !== 'take');
  }

  /** A new photo: an empty history, and a brush that fits its faces. */
  begin(width: number, height: number, faces: readonly { box: Box }[], history?: History): void {
    this.size = { width, height };
    this.maps = [];
    this.history = history ?? new History();
    this.draft = this.hover = this.cursor = null;
    const face = Math.max(0, ...faces.map((f) => f.box[2])) || Math.min(width, height);
    this.radius = Math.max(2, Math.round(face * 0.06));
    this.tool = 'look';
    this.mode = 'new';
    this.changed();
  }

  /** Kept with the photo, so that it is there when the photo comes back. */
  get past(): History {
    return this.history;
  }

  get mostRadius(): number {
    return Math.max(8, Math.round(Math.min(this.size.width, this.size.height) / 4));
  }

  push(mark: Mark, merge = false): void {
    this.history.push(mark, merge);
    this.set({ draft: null });
  }

  undo(): boolean {
    return this.step(this.history.undo());
  }

  redo(): boolean {
    return this.step(this.history.redo());
  }

  clear(): void {
    this.history.clear();
    this.set({ draft: null });
  }

  restore(marks: readonly Mark[]): void {
    this.history.restore(marks);
    this.set({ draft: null });
  }

  partAt([x, y]: Point): { face: number; id: string } | null {
    return partAt(this.maps, x, y);
  }

  set(change: Partial<Pick<RegionState, 'tool' | 'mode' | 'radius' | 'draft' | 'hover' | 'treeAt' | 'cursor' | 'maps' | 'regions'>>): void {
    Object.assign(this, change);
    this.radius = Math.min(Math.max(1, this.radius), this.mostRadius);
    this.changed();
  }

  private step(moved: boolean): boolean {
    if (moved) this.set({ draft: null });
    return moved;
  }
}
