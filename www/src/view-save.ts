/** Saving an answer: one button for the report, and behind a fold the other forms with what goes into them, shown before it is saved. */
import { html, type TemplateResult } from 'lit';
import { exported, type SaveOptions } from './export-report';
import type { Report } from './protocol';
import type { Words } from './words';

export type SaveKind = 'json' | 'page' | 'masks' | 'coco';

export interface SaveHandlers {
  options: SaveOptions;
  change(change: Partial<SaveOptions>): void;
  save(report: Report, kind: SaveKind): void;
}

export function saveBox(w: Words, report: Report, on: SaveHandlers): TemplateResult {
  const masks = report.faces.reduce((sum, face) => sum + face.masks.length, 0);
  const check = (key: keyof SaveOptions, label: string) => html`<label class="row small">
    <input type="checkbox" name="save-${key}" .checked=${on.options[key]} @change=${(e: Event) => on.change({ [key]: (e.target as HTMLInputElement).checked })} />${label}
  </label>`;
  const button = (kind: SaveKind, label: string, off = false) => html`<button data-test="save-${kind}" ?disabled=${off} @click=${() => on.save(report, kind)}>${label}</button>`;
  return html`<button data-test="save" @click=${() => on.save(report, 'json')}>${w.saveReport}</button>
    <details class="save" data-test="save-more">
      <summary class="small">${w.save.more}</summary>
      <div class="stack">
        ${check('name', w.save.withName)} ${check('photo', w.save.withPhoto)}
        <div class="row">
          ${button('page', w.save.asPage)} ${button('masks', w.save.asPng(masks), masks === 0)} ${button('coco', w.save.asCoco, masks === 0)}
        </div>
        <p class="small soft">${w.save.preview}</p>
        <pre class="small preview" data-test="preview" tabindex="0" role="region" aria-label=${w.save.preview}>${preview(report, on.options)}</pre>
      </div>
    </details>`;
}

/** The report as it will be saved, run lengths cut short. */
function preview(report: Report, options: SaveOptions): string {
  const short = exported(report, options);
  const cut = (key: string, value: unknown) => (key === 'counts' && typeof value === 'string' && value.length > 24 ? `${value.slice(0, 24)}…` : value);
  return JSON.stringify(short, cut, 2);
}
