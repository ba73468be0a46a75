/**
 * Zoom and pan of the photo: a transform of the frame inside its stage, by wheel, pinch, drag, buttons and keys.
 *
 * The transform is set through the style object, because the page's policy forbids style attributes. Only this class knows it: everything
 * else asks where a pointer is on the photo.
 */
import type { Box } from './protocol';

const MOST = 12;

export class Viewport {
  private scale = 1;
  private x = 0;
  private y = 0;
  /** A face is kept in the middle, whatever size the stage gets. */
  private face: Box | null = null;
  private shown = '';

  constructor(private readonly elements: () => { frame: HTMLElement; stage: HTMLElement } | null) {}

  get zoomed(): boolean {
    return this.scale > 1.001;
  }

  reset(smooth = false): void {
    this.face = null;
    this.scale = 1;
    this.x = this.y = 0;
    this.apply(smooth);
  }

  /** Brings a box of the photo to the middle. */
  show(box: Box, photoWidth: number): void {
    const at = this.elements();
    if (!at?.frame.offsetWidth) return;
    this.face = box;
    const { frame, stage } = at;
    const unit = frame.offsetWidth / photoWidth;
    const [x, y, w, h] = box.map((v) => v * unit) as Box;
    this.scale = Math.min(8, Math.max(1, Math.min(stage.clientWidth / (w * 1.5), stage.clientHeight / (h * 1.5))));
    const [left, top] = this.origin(at);
    this.x = stage.clientWidth / 2 - left - (x + w / 2) * this.scale;
    this.y = stage.clientHeight / 2 - top - (y + h / 2) * this.scale;
    this.apply(true);
  }

  /** Zooms about a point of the window, or the middle of the stage. */
  zoom(factor: number, client?: [number, number]): void {
    const at = this.elements();
    if (!at) return;
    const stage = at.stage.getBoundingClientRect();
    const [left, top] = this.origin(at);
    const px = (client ? client[0] - stage.left : stage.width / 2) - left;
    const py = (client ? client[1] - stage.top : stage.height / 2) - top;
    const scale = Math.min(MOST, Math.max(1, this.scale * factor));
    this.x = px - ((px - this.x) * scale) / this.scale;
    this.y = py - ((py - this.y) * scale) / this.scale;
    this.scale = scale;
    this.face = null;
    this.clamp(at);
    this.apply(false);
  }

  pan(dx: number, dy: number): void {
    const at = this.elements();
    if (!at) return;
    this.x += dx;
    this.y += dy;
    this.face = null;
    this.clamp(at);
    this.apply(false);
  }

  /** After a layout change. */
  refresh(photoWidth: number): void {
    if (this.face) this.show(this.face, photoWidth);
    else this.apply(false);
  }

  /** Left and top of the untransformed frame inside the stage. */
  private origin({ frame, stage }: { frame: HTMLElement; stage: HTMLElement }): [number, number] {
    // Where the stage is positioned, offsets count from it already.
    const inside = frame.offsetParent === stage;
    return [frame.offsetLeft - (inside ? 0 : stage.offsetLeft), frame.offsetTop - (inside ? 0 : stage.offsetTop)];
  }

  /** The middle of the stage never leaves the photo, so that the photo cannot be lost. */
  private clamp(at: { frame: HTMLElement; stage: HTMLElement }): void {
    if (!this.zoomed) return void (this.x = this.y = 0);
    const [left, top] = this.origin(at);
    const fit = (value: number, offset: number, stage: number, frame: number) =>
      Math.min(stage / 2 - offset, Math.max(stage / 2 - offset - frame * this.scale, value));
    this.x = fit(this.x, left, at.stage.clientWidth, at.frame.offsetWidth);
    this.y = fit(this.y, top, at.stage.clientHeight, at.frame.offsetHeight);
  }

  private apply(smooth: boolean): void {
    const frame = this.elements()?.frame;
    if (!frame) return;
    const transform = this.zoomed ? `translate(${this.x}px, ${this.y}px) scale(${this.scale})` : '';
    if (transform === this.shown && frame.style.transform === transform) return;
    this.shown = transform;
    frame.classList.toggle('smooth', smooth);
    frame.style.transform = transform;
  }
}
