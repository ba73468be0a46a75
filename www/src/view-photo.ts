/** The photo with its overlay and tools, what its file says about itself, and the empty state. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import { splitter } from './view-split';
import { shortcuts, toolbar, type ToolHandlers } from './view-tools';
import { bytesWords, warningWords, type Words } from './words';

export interface PhotoHandlers extends ToolHandlers {
  pick(): void;
  imageLoaded(event: Event): void;
  imageFailed(event: Event): void;
  pointer(event: PointerEvent): void;
  wheel: { handleEvent(event: WheelEvent): void; passive: false };
  /** Keys of the canvas, and of the whole card. */
  key(event: KeyboardEvent): void;
  keyUp(event: KeyboardEvent): void;
  shortcut(event: KeyboardEvent): void;
  /** The focus leaves the card. */
  blur(event: FocusEvent): void;
  exportPng(): void;
}

export function emptyState(w: Words, pick: () => void): TemplateResult {
  return html`<div class="drop" part="drop">
    <svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d="M6 15V9a3 3 0 0 1 3-3h6M33 6h6a3 3 0 0 1 3 3v6M42 33v6a3 3 0 0 1-3 3h-6M15 42H9a3 3 0 0 1-3-3v-6" />
      <circle cx="24" cy="20" r="6" /><path d="M13 36c1.5-6 5.5-8.5 11-8.5S33.5 30 35 36" />
    </svg>
    <p class="lead">${w.dropLead}</p>
    <button class="primary" data-test="pick" @click=${pick}>${w.choosePhoto}</button>
    <p class="soft small">${w.dropNote}</p>
  </div>`;
}

/** The photo alone: on a narrow screen the answer comes right below it, before the tools. */
export function photoCard(c: Controller, on: PhotoHandlers): TemplateResult {
  const w = c.words;
  const photo = c.photo!;
  const tool = c.region.tool;
  return html`<section class="card stack photo" part="photo" aria-label=${w.photo} @keydown=${on.shortcut} @keyup=${on.keyUp} @focusout=${on.blur}>
    <div class="stage">
      <div class="frame">
        <img src=${photo.url} alt=${w.photoAlt(photo.name)} @load=${on.imageLoaded} @error=${on.imageFailed} />
        <canvas
          class="tool-${tool}"
          tabindex=${photo.opened ? 0 : -1}
          role="application"
          aria-label=${w.overlayName(w.tools[tool].name, w.tools[tool].hint)}
          @pointerdown=${on.pointer}
          @pointermove=${on.pointer}
          @pointerup=${on.pointer}
          @pointercancel=${on.pointer}
          @pointerleave=${on.pointer}
          @wheel=${on.wheel}
          @keydown=${on.key}
        ></canvas>
      </div>
      ${photo.opened && c.split !== null ? splitter(c) : nothing}
    </div>
    ${hasMasks(c) ? looks(c) : nothing}
  </section>`;
}

/** What can be done to the photo and its marks, and what its file says. */
export function toolsCard(c: Controller, on: PhotoHandlers): TemplateResult {
  const w = c.words;
  const faces = c.photo!.opened?.faces.length;
  return html`<section class="card stack tools-card" part="tools-card" aria-label=${w.toolsTitle} @keydown=${on.shortcut} @keyup=${on.keyUp} @focusout=${on.blur}>
    ${faces ? toolbar(c, on) : nothing}
    <div class="row" part="marks">
      ${hasMasks(c) ? marks(c, on) : nothing}
      <button data-test="pick" @click=${on.pick}>${w.anotherPhoto}</button>
    </div>
    ${faces ? shortcuts(c) : nothing}
    ${c.photo!.opened ? facts(c) : nothing}
  </section>`;
}

function hasMasks(c: Controller): boolean {
  return c.runs.some((run) => run.faces.some((face) => face.masks.some(Boolean)));
}

/** Ways to see the photo without its marks. */
function looks(c: Controller): TemplateResult {
  const w = c.words;
  const hide = (hiding: boolean) => () => c.setView({ hiding });
  // Space and Enter hold it as a pointer does.
  const key = (hiding: boolean) => (e: KeyboardEvent) => (e.key === ' ' || e.key === 'Enter') && (e.preventDefault(), e.repeat || c.setView({ hiding }));
  return html`<div class="row tight" role="group" aria-label=${w.looksTitle}>
    <button class="small" data-test="compare" aria-pressed=${c.split !== null} @click=${() => c.setView({ split: c.split === null ? 0.5 : null })}>${w.compare}</button>
    <button class="small" data-test="hide" aria-pressed=${c.hiding} @pointerdown=${hide(true)} @pointerup=${hide(false)} @pointerleave=${hide(false)} @pointercancel=${hide(false)} @blur=${hide(false)}
      @keydown=${key(true)} @keyup=${key(false)}>${w.holdToHide}</button>
  </div>`;
}

function marks(c: Controller, on: PhotoHandlers): TemplateResult {
  const w = c.words;
  return html`<label class="field small">${w.marksTitle}
      <input type="range" min="0" max="1" step="0.05" .value=${String(c.opacity)} data-test="opacity" aria-label=${w.opacity}
        @input=${(e: Event) => c.setOpacity(Number((e.target as HTMLInputElement).value))} />
    </label>
    <label class="field small"><input type="checkbox" data-test="hatch" .checked=${c.hatch} @change=${(e: Event) => c.setView({ hatch: (e.target as HTMLInputElement).checked })} />${w.hatch}</label>
    <button data-test="export" @click=${on.exportPng}>${w.exportPng}</button>`;
}

function facts(c: Controller): TemplateResult {
  const w = c.words;
  const { file, faces, warnings, facts: told } = c.photo!.opened!;
  return html`<p class="small soft" data-test="facts">
      ${c.photo!.name} · ${w.pixels(file.width, file.height)} · ${bytesWords(w, file.bytes)} · ${w.faces(faces.length)}
    </p>
    ${warnings.length ? html`<ul class="small">${warnings.map((code) => html`<li>${warningWords(w, code)}</li>`)}</ul>` : nothing}
    <details class="small" data-test="metadata">
      <summary>${w.aboutFile}</summary>
      <p class="soft">${w.aboutFileNote}</p>
      <dl class="facts">
        ${told.map(({ key, value }) => html`<dt>${w.facts[key] ?? key}</dt><dd>${value === 'present' ? w.factPresent : value}</dd>`)}
        <dt>${w.factSha}</dt><dd class="code">${file.sha256}</dd>
      </dl>
    </details>`;
}
