/**
 * Drawing one box on the photo: pointer (mouse, pen, touch) and keyboard, in pixels of the upright photo.
 *
 * Pointer: drag a new box; a tap is not a box. Escape drops the draft. Keyboard: arrows move by one pixel, with Shift by ten, with Alt they
 * change the size. Number fields beside the photo do the same job.
 */
import type { Box } from './protocol';

/** Below this many pixels on the screen a drag still counts as a tap. */
const CLICK_SLOP = 5;

export interface BoxToolHost {
  /** Size of the upright photo. */
  size(): { width: number; height: number };
  /** The present box, draft or finished. */
  box(): Box | null;
  /** Where a box begins that is made by keyboard. */
  start(): Box;
  change(box: Box | null): void;
  /** `step`: one of many small ones, by keyboard. */
  commit(box: Box, step: boolean, event: { shiftKey: boolean; altKey: boolean }): void;
}

interface Drag {
  pointer: number;
  startX: number;
  startY: number;
  clientX: number;
  clientY: number;
  before: Box | null;
  moved: boolean;
}

export class BoxTool {
  private drag: Drag | null = null;

  constructor(private readonly host: BoxToolHost) {}

  get dragging(): boolean {
    return this.drag !== null;
  }

  down(event: PointerEvent): void {
    if (this.drag || (event.pointerType === 'mouse' && event.button !== 0)) return;
    const canvas = event.currentTarget as HTMLElement;
    canvas.setPointerCapture(event.pointerId);
    const [startX, startY] = this.point(event, canvas);
    this.drag = { pointer: event.pointerId, startX, startY, clientX: event.clientX, clientY: event.clientY, before: this.host.box(), moved: false };
    event.preventDefault();
    canvas.focus({ preventScroll: true });
  }

  move(event: PointerEvent): void {
    const drag = this.drag;
    if (!drag || event.pointerId !== drag.pointer) return;
    drag.moved ||= Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY) > CLICK_SLOP;
    if (!drag.moved) return;
    const [x, y] = this.point(event, event.currentTarget as HTMLElement);
    this.host.change(this.fit([Math.min(x, drag.startX), Math.min(y, drag.startY), Math.abs(x - drag.startX), Math.abs(y - drag.startY)]));
  }

  up(event: PointerEvent): void {
    const drag = this.drag;
    if (!drag || event.pointerId !== drag.pointer) return;
    this.drag = null;
    const box = this.host.box();
    if (drag.moved && box) this.host.commit(box, false, event);
  }

  /** Escape, or the system took the pointer away: back to the box of before. */
  cancel(): boolean {
    if (!this.drag) return false;
    this.host.change(this.drag.before);
    this.drag = null;
    return true;
  }

  key(event: KeyboardEvent): void {
    const step = event.shiftKey ? 10 : 1;
    const delta = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!delta) return;
    event.preventDefault();
    const [x, y, w, h] = this.host.box() ?? this.start();
    const [dx, dy] = delta as [number, number];
    this.host.commit(this.fit(event.altKey ? [x, y, w + dx, h + dy] : [x + dx, y + dy, w, h]), true, { shiftKey: false, altKey: false });
  }

  /** Where a box, or a cursor, of the keyboard begins. */
  start(): Box {
    return this.fit(this.host.start());
  }

  /** Whole pixels inside the photo, at least one by one. */
  fit([x, y, w, h]: Box): Box {
    const { width, height } = this.host.size();
    const fitW = Math.min(Math.max(1, Math.round(w)), width);
    const fitH = Math.min(Math.max(1, Math.round(h)), height);
    return [Math.min(Math.max(0, Math.round(x)), width - fitW), Math.min(Math.max(0, Math.round(y)), height - fitH), fitW, fitH];
  }

  private point(event: PointerEvent, canvas: HTMLElement): [number, number] {
    const shown = canvas.getBoundingClientRect();
    const { width, height } = this.host.size();
    const clamp = (v: number, max: number) => Math.min(Math.max(v, 0), max);
    return [
      clamp(((event.clientX - shown.left) / shown.width) * width, width),
      clamp(((event.clientY - shown.top) / shown.height) * height, height),
    ];
  }
}
