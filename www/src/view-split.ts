/**
 * The line between the photo as it is and the photo with its marks: a slider by pointer, touch and keyboard.
 *
 * It lies over the frame, not in it, so that zoom does not thicken it; the canvas leaves out what is on its left. Left is left in every
 * language, because a photo has no direction of reading. Its place is set through the style object (the page's policy forbids style attributes).
 */
import { html, type TemplateResult } from 'lit';
import type { Controller } from './controller';

const STEP = 0.02;
const PAGE = 0.1;

export function splitter(c: Controller): TemplateResult {
  const w = c.words;
  const percent = Math.round((c.split ?? 0) * 100);
  return html`<div class="split" tabindex="0" role="slider" data-test="split" aria-label=${w.splitName} aria-orientation="horizontal"
    aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent} aria-valuetext=${w.splitAt(percent)}
    @pointerdown=${down} @pointermove=${(e: PointerEvent) => drag(c, e)} @keydown=${(e: KeyboardEvent) => key(c, e)}
  ><span class="split-line" aria-hidden="true"></span></div>`;
}

/** Puts the line where it belongs; called after each rendering and each zoom. */
export function placeSplit(root: ParentNode, split: number | null): void {
  const line = root.querySelector<HTMLElement>('.split');
  const frame = root.querySelector<HTMLElement>('.frame');
  if (!line || !frame || split === null) return;
  const stage = line.parentElement!.getBoundingClientRect();
  const photo = frame.getBoundingClientRect();
  const at = photo.left - stage.left + photo.width * split;
  line.style.left = `${Math.min(Math.max(at, 0), stage.width)}px`;
}

function down(event: PointerEvent): void {
  if (event.button !== 0) return;
  const line = event.currentTarget as HTMLElement;
  line.setPointerCapture(event.pointerId);
  line.focus({ preventScroll: true });
  event.preventDefault();
}

function drag(c: Controller, event: PointerEvent): void {
  const line = event.currentTarget as HTMLElement;
  const photo = line.parentElement?.querySelector('.frame')?.getBoundingClientRect();
  if (!line.hasPointerCapture(event.pointerId) || !photo?.width) return;
  move(c, (event.clientX - photo.left) / photo.width);
}

function key(c: Controller, event: KeyboardEvent): void {
  const at = c.split ?? 0.5;
  const to = {
    ArrowLeft: at - STEP, ArrowDown: at - STEP, ArrowRight: at + STEP, ArrowUp: at + STEP, PageDown: at - PAGE, PageUp: at + PAGE, Home: 0, End: 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  move(c, to);
}

function move(c: Controller, to: number): void {
  c.setView({ split: Math.min(1, Math.max(0, to)) });
}
