/**
 * Pointer, touch and keyboard on the photo: what each tool does with them. Boxes are drawn by `box-tool.ts`; this does the rest.
 *
 * Pointer: a drag draws, a second finger zooms and pans, the middle button or a held space bar pans. Keyboard: arrows move the cursor (with
 * Shift further), Space marks (a dab, a corner of the lasso, a part), Enter ends the lasso. A draft is dropped by Escape and when the system takes the pointer.
 */
import type { BoxTool } from './box-tool';
import type { Mark, Point } from './region';
import type { RegionState } from './region-state';
import type { Viewport } from './viewport';

export interface ToolHost {
  region(): RegionState | null;
  size(): { width: number; height: number };
  /** Pixels of the photo in one pixel of the screen. */
  unit(): number;
  viewport: Viewport;
  box: BoxTool;
  /** The tool that only looks: hover and tap on what is marked. */
  look(event: PointerEvent, point: Point): void;
  mark(mark: Mark): void;
  /** The view was moved by hand. */
  moved(): void;
  /** Draws the canvas again, without a new rendering of everything. */
  paint(): void;
}

export class Tools {
  private pointers = new Map<number, [number, number]>();
  private pinch: { distance: number; x: number; y: number } | null = null;
  private panning: { pointer: number; x: number; y: number } | null = null;
  private drawing: number | null = null;
  private space = false;
  private spaceUsed = false;

  constructor(private readonly host: ToolHost) {}

  pointer(event: PointerEvent): void {
    const region = this.host.region();
    if (!region) return;
    const canvas = event.currentTarget as HTMLElement;
    const point = this.point(event, canvas);
    switch (event.type) {
      case 'pointerdown':
        return this.down(event, canvas, region, point);
      case 'pointermove':
        return this.move(event, canvas, region, point);
      case 'pointerup':
      case 'pointercancel':
        return this.up(event, region, point);
      case 'pointerleave':
        if (event.pointerType !== 'touch' && this.drawing === null) region.set({ cursor: null, hover: null });
        if (region.tool === 'look') this.host.look(event, point);
    }
  }

  private down(event: PointerEvent, canvas: HTMLElement, region: RegionState, point: Point): void {
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size === 2 && region.tool !== 'look') {
      this.cancel();
      this.pinch = this.fingers();
      return;
    }
    const middle = event.pointerType === 'mouse' && event.button === 1;
    if (middle || this.space || region.tool === 'pan') {
      this.spaceUsed = this.space;
      canvas.setPointerCapture(event.pointerId);
      this.panning = { pointer: event.pointerId, x: event.clientX, y: event.clientY };
      return event.preventDefault();
    }
    if (event.button !== 0 || region.tool === 'look' || this.drawing !== null) return;
    if (region.tool === 'box') return this.host.box.down(event);
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    if (region.tool === 'part') return;
    canvas.setPointerCapture(event.pointerId);
    this.drawing = event.pointerId;
    region.set({ cursor: point });
    this.begin(region, point, event.shiftKey);
  }

  private move(event: PointerEvent, canvas: HTMLElement, region: RegionState, point: Point): void {
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pinch) {
      const now = this.fingers();
      if (!now) return;
      this.host.viewport.zoom(now.distance / Math.max(1, this.pinch.distance), [now.x, now.y]);
      this.host.viewport.pan(now.x - this.pinch.x, now.y - this.pinch.y);
      this.pinch = now;
      return this.host.moved();
    }
    if (this.panning?.pointer === event.pointerId) {
      this.host.viewport.pan(event.clientX - this.panning.x, event.clientY - this.panning.y);
      this.panning = { pointer: event.pointerId, x: event.clientX, y: event.clientY };
      return this.host.moved();
    }
    if (region.tool === 'look') return this.host.look(event, point);
    if (region.tool === 'box') return this.host.box.move(event);
    region.cursor = point;
    if (region.tool === 'part') {
      const hover = region.partAt(point);
      if (hover?.id !== region.hover?.id || hover?.face !== region.hover?.face) return region.set({ hover });
    } else if (this.drawing === event.pointerId && region.draft && region.draft.kind !== 'box') {
      // All positions between two frames, so that a fast stroke is as round as the hand was.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) region.draft.points.push(this.point(one, canvas));
    }
    this.host.paint();
  }

  private up(event: PointerEvent, region: RegionState, point: Point): void {
    this.pointers.delete(event.pointerId);
    if (this.pinch) {
      if (this.pointers.size < 2) this.pinch = null;
      return;
    }
    if (this.panning?.pointer === event.pointerId) return void (this.panning = null);
    const dropped = event.type === 'pointercancel';
    if (dropped) return void this.cancel();
    if (region.tool === 'box') return this.host.box.up(event);
    if (region.tool === 'look') return this.host.look(event, point);
    if (region.tool === 'part' && event.button === 0) return this.pick(region, point, event);
    if (this.drawing !== event.pointerId) return;
    this.drawing = null;
    if (event.pointerType === 'touch') region.cursor = null;
    this.finish(region, modeOf(region, event));
  }

  /** Drops what is being drawn. True if there was something. */
  cancel(): boolean {
    this.drawing = null;
    this.panning = null;
    const region = this.host.region();
    const had = this.host.box.cancel() || region?.draft != null;
    if (region?.draft) region.set({ draft: null });
    return had;
  }

  /** The keyboard went elsewhere: a key that was held will not be heard to rise. */
  release(): void {
    this.space = false;
  }

  // ---- marks --------------------------------------------------------------------------------------------------------------

  private begin(region: RegionState, point: Point, straight: boolean): void {
    if (region.tool === 'lasso') return region.set({ draft: { kind: 'lasso', points: [point] } });
    const last = region.marks.at(-1);
    // Shift joins the last stroke by a straight line, as everywhere.
    const from = straight && last?.kind === 'stroke' ? last.points.at(-1)! : null;
    region.set({ draft: { kind: 'stroke', points: from ? [from, point] : [point], radius: region.radius, erase: region.tool === 'eraser' } });
  }

  private finish(region: RegionState, mode: RegionState['mode']): void {
    const draft = region.draft;
    if (!draft || draft.kind === 'box') return;
    if (draft.kind === 'stroke') return this.host.mark({ kind: 'stroke', points: draft.points, radius: draft.radius, mode: draft.erase ? 'take' : 'add' });
    // A tap is not a lasso.
    if (draft.points.length < 3 || extent(draft.points) < 5 * this.host.unit()) return region.set({ draft: null });
    this.host.mark({ kind: 'lasso', points: draft.points, mode });
  }

  private pick(region: RegionState, point: Point, event: { shiftKey: boolean; altKey: boolean }): void {
    const part = region.partAt(point);
    // With one face there is nothing to tell apart, and the part is the same as in the tree.
    if (part) this.host.mark({ kind: 'part', id: part.id, face: region.maps.length > 1 ? part.face : null, mode: modeOf(region, event) });
  }

  // ---- keyboard -----------------------------------------------------------------------------------------------------------

  /** Keys of the canvas. */
  key(event: KeyboardEvent): void {
    const region = this.host.region();
    if (!region || event.ctrlKey || event.metaKey) return;
    if (event.key === ' ') {
      event.preventDefault();
      if (!event.repeat) (this.space = true), (this.spaceUsed = false);
      return;
    }
    if (region.tool === 'box') return this.host.box.key(event);
    const step = (event.shiftKey ? 24 : 6) * this.host.unit();
    const delta = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (delta) {
      event.preventDefault();
      if (region.tool === 'pan' || region.tool === 'look') {
        const pixels = event.shiftKey ? 120 : 40;
        this.host.viewport.pan(-Math.sign(delta[0]!) * pixels, -Math.sign(delta[1]!) * pixels);
        return this.host.moved();
      }
      const { width, height } = this.host.size();
      const [x, y] = region.cursor ?? this.middle();
      const cursor: Point = [Math.min(width, Math.max(0, x + delta[0]!)), Math.min(height, Math.max(0, y + delta[1]!))];
      return region.set({ cursor, hover: region.tool === 'part' ? region.partAt(cursor) : null });
    }
    if (event.key === 'Enter' && region.draft?.kind === 'lasso') {
      event.preventDefault();
      this.finish(region, modeOf(region, event));
    }
  }

  keyUp(event: KeyboardEvent): void {
    if (event.key !== ' ' || !this.space) return;
    this.space = false;
    const region = this.host.region();
    if (this.spaceUsed || !region) return;
    const point = region.cursor ?? this.middle();
    if (region.tool === 'part') return this.pick(region, point, event);
    if (region.tool === 'brush' || region.tool === 'eraser') {
      this.begin(region, point, event.shiftKey);
      return this.finish(region, 'add');
    }
    if (region.tool !== 'lasso') return;
    const before = region.draft?.kind === 'lasso' ? region.draft.points : [];
    region.set({ cursor: point, draft: { kind: 'lasso', points: [...before, point] } });
  }

  private middle(): Point {
    const [x, y, w, h] = this.host.box.start();
    return [x + w / 2, y + h / 2];
  }

  private fingers(): { distance: number; x: number; y: number } | null {
    const [a, b] = [...this.pointers.values()];
    return a && b ? { distance: Math.hypot(a[0] - b[0], a[1] - b[1]), x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2 } : null;
  }

  private point(event: PointerEvent, canvas: HTMLElement): Point {
    const shown = canvas.getBoundingClientRect();
    const { width, height } = this.host.size();
    const share = (at: number, from: number, size: number) => Math.min(1, Math.max(0, (at - from) / Math.max(1, size)));
    return [share(event.clientX, shown.left, shown.width) * width, share(event.clientY, shown.top, shown.height) * height];
  }
}

/** Shift adds and Alt takes away, whatever the buttons say. */
function modeOf(region: RegionState, event: { shiftKey: boolean; altKey: boolean }): RegionState['mode'] {
  return event.altKey ? 'take' : event.shiftKey ? 'add' : region.mode;
}

function extent(points: Point[]): number {
  const size = (axis: 0 | 1) => {
    let [low, high] = [Infinity, -Infinity];
    for (const point of points) (low = Math.min(low, point[axis])), (high = Math.max(high, point[axis]));
    return high - low;
  };
  return Math.max(size(0), size(1));
}
