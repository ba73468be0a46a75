/** The question form: about what (face, named region, drawn box), which answer, for which face. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Ask, Controller } from './controller';
import type { Box, Region, Task } from './protocol';
import { TASKS } from './words';

export function askCard(c: Controller, fit: (box: Box) => Box): TemplateResult | typeof nothing {
  const opened = c.photo?.opened;
  if (!opened || opened.status !== 'ok') return nothing;
  const wheres: { id: Ask['where']; label: string }[] = [
    { id: 'face', label: 'the whole face' },
    { id: 'region', label: 'a part of the face' },
    { id: 'box', label: 'a box' },
  ];
  const blocked = c.busy !== null || (c.ask.where === 'box' && !c.box);
  return html`<section class="card ask" part="ask" aria-label="Ask about a region">
    <form class="stack" @submit=${(e: Event) => (e.preventDefault(), blocked || void c.askNow())}>
      <h2>Ask more</h2>
      <fieldset>
        <legend>About</legend>
        <div class="choices">
          ${wheres.map((w) => html`<label>
            <input type="radio" name="where" value=${w.id} .checked=${c.ask.where === w.id} @change=${() => (c.setAsk({ where: w.id }), w.id === 'box' && !c.box && c.setDrawing(true))} />${w.label}
          </label>`)}
        </div>
      </fieldset>
      ${c.ask.where === 'region' ? regionField(c) : nothing}
      ${c.ask.where === 'box' ? boxFields(c, fit) : nothing}
      ${opened.faces.length > 1
        ? html`<label class="field">Face
            <select name="face" @change=${(e: Event) => c.setAsk({ face: Number((e.target as HTMLSelectElement).value) })}>
              <option value="-1" .selected=${c.ask.face < 0}>all</option>
              ${opened.faces.map((_, i) => html`<option value=${i} .selected=${c.ask.face === i}>${i + 1}</option>`)}
            </select>
          </label>`
        : nothing}
      <fieldset>
        <legend>Answer</legend>
        <div class="choices">
          ${TASKS.map((task) => html`<label title=${task.hint}>
            <input type="radio" name="task" value=${task.id} .checked=${c.ask.task === task.id} @change=${() => c.setAsk({ task: task.id as Task })} />${task.label}
          </label>`)}
        </div>
      </fieldset>
      <div class="row">
        <button class="primary" type="submit" data-test="ask" ?disabled=${blocked}>Ask</button>
        ${c.ask.where === 'box' && !c.box ? html`<span class="small soft">Draw a box on the photo, or type its numbers.</span>` : nothing}
      </div>
    </form>
  </section>`;
}

function regionField(c: Controller): TemplateResult {
  return html`<label class="field">Part
    <select name="region" data-test="region" @change=${(e: Event) => c.setAsk({ region: (e.target as HTMLSelectElement).value })}>
      ${tree(c.regions).map(({ region, depth }) => html`<option value=${region.id} .selected=${region.id === c.ask.region}>${'\u00a0\u00a0'.repeat(depth)}${region.en}</option>`)}
    </select>
  </label>`;
}

/** The regions in tree order with their depth; a region whose parent is not selectable counts as a root. */
export function tree(regions: Region[]): { region: Region; depth: number }[] {
  const ids = new Set(regions.map((r) => r.id));
  const out: { region: Region; depth: number }[] = [];
  const walk = (parent: string | null, depth: number) => {
    for (const region of regions) {
      const own = region.parent !== null && ids.has(region.parent) ? region.parent : null;
      if (own !== parent || depth > 8) continue;
      out.push({ region, depth });
      walk(region.id, depth + 1);
    }
  };
  walk(null, 0);
  return out;
}

function boxFields(c: Controller, fit: (box: Box) => Box): TemplateResult {
  const names = ['Left', 'Top', 'Width', 'Height'];
  const set = (at: number, event: Event) => {
    const value = (event.target as HTMLInputElement).valueAsNumber;
    if (!Number.isFinite(value)) return;
    const box = [...(c.box ?? [0, 0, 1, 1])] as Box;
    box[at] = value;
    c.setBox(fit(box));
  };
  return html`<div class="numbers" role="group" aria-label="Box in pixels">
    ${names.map((name, at) => html`<label class="small">${name}
      <input type="number" min=${at < 2 ? 0 : 1} step="1" inputmode="numeric" data-test=${`box-${name.toLowerCase()}`} .value=${c.box ? String(c.box[at]) : ''} @change=${(e: Event) => set(at, e)} />
    </label>`)}
  </div>`;
}
