/** The photo with its overlay, the tools on it, and the empty state. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import { bytesWords, warningWords } from './words';

export interface PhotoHandlers {
  pick(): void;
  imageLoaded(event: Event): void;
  imageFailed(event: Event): void;
  pointer(event: PointerEvent): void;
  key(event: KeyboardEvent): void;
}

export function emptyState(pick: () => void): TemplateResult {
  return html`<div class="drop" part="drop">
    <svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d="M6 15V9a3 3 0 0 1 3-3h6M33 6h6a3 3 0 0 1 3 3v6M42 33v6a3 3 0 0 1-3 3h-6M15 42H9a3 3 0 0 1-3-3v-6" />
      <circle cx="24" cy="20" r="6" /><path d="M13 36c1.5-6 5.5-8.5 11-8.5S33.5 30 35 36" />
    </svg>
    <p class="lead">Drop a photo of a face here, or paste it</p>
    <button class="primary" data-test="pick" @click=${pick}>Choose a photo</button>
    <p class="soft small">JPEG, PNG or WebP. It stays on this device.</p>
  </div>`;
}

export function photoCard(c: Controller, on: PhotoHandlers): TemplateResult {
  const photo = c.photo!;
  const masks = c.run?.faces.some((face) => face.masks.length > 0) ?? false;
  return html`<section class="card stack photo" part="photo" aria-label="Photo">
    <div class="stage">
      <div class="frame">
        <img src=${photo.url} alt="The photo ${photo.name}" @load=${on.imageLoaded} @error=${on.imageFailed} />
        <canvas
          class=${c.drawing ? 'drawing' : ''}
          tabindex=${c.drawing ? 0 : -1}
          role=${c.drawing ? 'application' : 'img'}
          aria-label=${c.drawing ? 'Box on the photo. Arrow keys move it, with Shift by ten pixels, with Alt they change its size. Escape ends.' : 'Marked places and numbers of faces'}
          @pointerdown=${on.pointer}
          @pointermove=${on.pointer}
          @pointerup=${on.pointer}
          @pointercancel=${on.pointer}
          @pointerleave=${on.pointer}
          @keydown=${on.key}
        ></canvas>
      </div>
    </div>
    <div class="row">
      <button data-test="pick" @click=${on.pick}>Another photo</button>
      ${photo.opened
        ? html`<button data-test="draw" aria-pressed=${c.drawing} @click=${() => c.setDrawing(!c.drawing)}>Draw a box</button>`
        : nothing}
      ${photo.opened?.faces.length
        ? html`<button data-test="zoom" aria-pressed=${c.zoomed} @click=${() => c.setZoomed(!c.zoomed)}>Zoom to face</button>`
        : nothing}
      ${masks
        ? html`<label class="field small push">Marks
            <input type="range" min="0" max="1" step="0.05" .value=${String(c.opacity)} data-test="opacity"
              aria-label="Opacity of the marks"
              @input=${(e: Event) => c.setOpacity(Number((e.target as HTMLInputElement).value))} />
          </label>`
        : nothing}
    </div>
    ${c.drawing ? html`<p class="small soft">Drag across the photo. Escape drops the box; the arrow keys move it.</p>` : nothing}
    ${photo.opened ? facts(c) : nothing}
  </section>`;
}

function facts(c: Controller): TemplateResult {
  const { file, faces, warnings } = c.photo!.opened!;
  return html`<p class="small soft" data-test="facts">
      ${c.photo!.name} · ${file.width} × ${file.height} pixels · ${bytesWords(file.bytes)} · ${faces.length === 1 ? '1 face' : `${faces.length} faces`}
    </p>
    ${warnings.length ? html`<ul class="small">${warnings.map((code) => html`<li>${warningWords(code)}</li>`)}</ul>` : nothing}`;
}
