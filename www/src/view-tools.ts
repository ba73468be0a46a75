/** Tools on the photo: the toolbar, how a mark joins, undo, zoom, the faces, and the words about the keys. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import { TOOLS, type Tool } from './region-state';
import type { Mode } from './region';

export interface ToolHandlers {
  tool(tool: Tool): void;
  undo(): void;
  redo(): void;
  clear(): void;
  zoom(factor: number): void;
  fit(): void;
  zoomFace(): void;
  face(face: number): void;
}

const ICONS: Record<Tool | 'undo' | 'redo' | 'clear' | 'in' | 'out' | 'fit', string> = {
  look: 'M5 3l14 8-6 1.5L10 19z',
  part: 'M12 21s-7-5.5-7-11a7 7 0 0 1 14 0c0 5.5-7 11-7 11zm0-8.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  box: 'M5 5h14v14H5z',
  lasso: 'M8 17c-3-1-5-3-5-6 0-4 4-6.5 9-6.5s9 2.5 9 6.5-4 6.5-9 6.5c-2 0-3.5.8-3.5 2.2 0 1 .8 1.8 2 1.8',
  brush: 'M20 4L10 14l-1.5 0M10 14c-3 0-4 1.5-4 3.5S4 20.5 3 20.5c3 .8 8 .5 8-4z',
  eraser: 'M8 20h12M4.5 14.5l9-9a1.5 1.5 0 0 1 2 0l4 4a1.5 1.5 0 0 1 0 2L11 20H8l-3.5-3.5a1.5 1.5 0 0 1 0-2zM9 10l6 6',
  pan: 'M12 3v18M3 12h18M12 3l-2.5 3M12 3l2.5 3M12 21l-2.5-3M12 21l2.5-3M3 12l3-2.5M3 12l3 2.5M21 12l-3-2.5M21 12l-3 2.5',
  undo: 'M8 5L4 9l4 4M4 9h10a5 5 0 0 1 0 10h-3',
  redo: 'M16 5l4 4-4 4M20 9H10a5 5 0 0 0 0 10h3',
  clear: 'M6 6l12 12M18 6L6 18',
  in: 'M12 6v12M6 12h12',
  out: 'M6 12h12',
  fit: 'M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4',
};

function icon(name: keyof typeof ICONS): TemplateResult {
  return html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

export function toolbar(c: Controller, on: ToolHandlers): TemplateResult {
  const w = c.words;
  const r = c.region;
  const act = (name: keyof typeof ICONS, label: string, click: () => void, disabled = false) =>
    html`<button class="icon" data-test=${name === 'in' || name === 'out' || name === 'fit' ? `zoom-${name}` : name} title=${label} aria-label=${label} ?disabled=${disabled} @click=${click}>${icon(name)}</button>`;
  return html`<div class="tools" part="tools">
      <div class="row tight" role="toolbar" aria-label=${w.toolsTitle} @keydown=${roving}>
        ${TOOLS.map((tool) => html`<button
          class="tool" data-test=${`tool-${tool}`} aria-pressed=${r.tool === tool} tabindex=${r.tool === tool ? 0 : -1}
          title=${`${w.tools[tool].name} (${w.tools[tool].key})`} aria-keyshortcuts=${w.tools[tool].key} @click=${() => on.tool(tool)}
        >${icon(tool)}<span>${w.tools[tool].name}</span></button>`)}
      </div>
      <div class="row tight">
        ${act('undo', w.undo, on.undo, !r.canUndo)}${act('redo', w.redo, on.redo, !r.canRedo)}${act('clear', w.clear, on.clear, !r.marks.length)}
        <span class="gap"></span>
        ${act('out', w.zoomOut, () => on.zoom(1 / 1.5))}${act('in', w.zoomIn, () => on.zoom(1.5))}${act('fit', w.zoomFit, on.fit)}
        <button data-test="zoom" aria-pressed=${c.zoomed} @click=${on.zoomFace}>${w.zoomFace}</button>
      </div>
    </div>
    ${options(c)}
    <p class="small soft" data-test="hint">${w.hint(w.tools[r.tool].hint, w.zoomHint)}</p>
    ${faces(c, on)}`;
}

/** What belongs to the chosen tool. */
function options(c: Controller): TemplateResult | typeof nothing {
  const w = c.words;
  const r = c.region;
  if (r.tool === 'part' || r.tool === 'box' || r.tool === 'lasso') {
    const modes: Mode[] = ['new', 'add', 'take'];
    return html`<div class="row tight" role="group" aria-label=${w.modesTitle}>
      <span class="small soft" aria-hidden="true">${w.modesTitle}</span>
      ${modes.map((mode) => html`<button class="small" data-test=${`mode-${mode}`} aria-pressed=${r.mode === mode} @click=${() => r.set({ mode })}>${w.modes[mode]}</button>`)}
    </div>`;
  }
  if (r.tool !== 'brush' && r.tool !== 'eraser') return nothing;
  return html`<label class="field small">${w.size}
    <input type="range" data-test="size" min="1" max=${r.mostRadius} step="1" .value=${String(r.radius)} @input=${(e: Event) => r.set({ radius: (e.target as HTMLInputElement).valueAsNumber })} />
    <span class="soft" aria-hidden="true">${r.radius * 2} px</span>
  </label>`;
}

function faces(c: Controller, on: ToolHandlers): TemplateResult | typeof nothing {
  const count = c.photo?.opened?.faces.length ?? 0;
  if (count < 2) return nothing;
  const w = c.words;
  return html`<div class="row tight" role="group" aria-label=${w.faceChoice} data-test="faces">
    <button data-test="face-all" aria-pressed=${c.ask.face < 0} @click=${() => on.face(-1)}>${w.allFaces}</button>
    ${Array.from({ length: count }, (_, i) => html`<button data-test=${`face-${i + 1}`} aria-pressed=${c.ask.face === i} @click=${() => on.face(i)}>${w.face(i + 1)}</button>`)}
  </div>`;
}

export function shortcuts(c: Controller): TemplateResult {
  const w = c.words;
  return html`<details class="small" data-test="shortcuts">
    <summary>${w.shortcutsTitle}</summary>
    <dl class="facts keys">${w.shortcuts.map(([keys, what]) => html`<dt><kbd>${keys}</kbd></dt><dd>${what}</dd>`)}</dl>
  </details>`;
}

/** One stop of Tab for the whole toolbar; arrows go from tool to tool. */
function roving(event: KeyboardEvent): void {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  const buttons = [...(event.currentTarget as HTMLElement).querySelectorAll('button')];
  const at = buttons.indexOf((event.target as HTMLElement).closest('button')!);
  buttons[(at + step + buttons.length) % buttons.length]?.focus();
}
