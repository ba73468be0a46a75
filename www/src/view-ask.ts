/** The question form: about what (the face, or the region that is marked), which answer, in whose words. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Ask, Controller } from './controller';
import type { Box } from './protocol';
import { partTree } from './view-parts';
import { TASKS, partName } from './words';

export function askCard(c: Controller, fit: (box: Box) => Box): TemplateResult | typeof nothing {
  const opened = c.photo?.opened;
  if (!opened || opened.status !== 'ok') return nothing;
  const w = c.words;
  const wheres: { id: Ask['where']; label: string }[] = [
    { id: 'face', label: w.wholeFace },
    { id: 'region', label: w.region },
  ];
  const about = c.ask.where === 'region';
  const blocked = c.busy !== null || (about && !c.region.raster && !c.region.box && !c.region.part);
  return html`<section class="card ask" part="ask" aria-label=${w.askTitle}>
    <form class="stack" @submit=${(e: Event) => (e.preventDefault(), blocked || ask(c, e.currentTarget as HTMLElement))}>
      <h2>${w.askTitle}</h2>
      <fieldset>
        <legend>${w.about}</legend>
        <div class="choices">
          ${wheres.map((where) => html`<label>
            <input type="radio" name="where" value=${where.id} .checked=${c.ask.where === where.id} @change=${() => c.setAsk({ where: where.id })} />${where.label}
          </label>`)}
        </div>
        ${about ? html`<p class="small soft" data-test="region-words">${regionWords(c)}</p>` : nothing}
      </fieldset>
      ${c.region.box || (about && c.region.tool === 'box') ? boxFields(c, fit) : nothing}
      ${about ? partTree(c) : nothing}
      <fieldset>
        <legend>${w.answerAs}</legend>
        <div class="choices">
          ${TASKS.map((task) => html`<label title=${w.tasks[task].hint}>
            <input type="radio" name="task" value=${task} .checked=${c.ask.task === task} @change=${() => c.setAsk({ task })} />${w.tasks[task].label}
          </label>`)}
        </div>
      </fieldset>
      ${ownWords(c)}
      <div class="row">
        <button class="primary" type="submit" data-test="ask" ?disabled=${blocked}>${w.ask}</button>
      </div>
    </form>
  </section>`;
}

/** Asks, and brings the answer into view: the form is far below it. */
function ask(c: Controller, form: HTMLElement): void {
  void c.askNow();
  requestAnimationFrame(() => (form.getRootNode() as ParentNode).querySelector('[data-test="result"]')?.scrollIntoView({ block: 'nearest' }));
}

/** What is marked, in words. */
function regionWords(c: Controller): string {
  const w = c.words;
  const { marks, box, part, place } = c.region;
  if (!marks.length && !box) return w.regionNone;
  const placed = (shape: string) => w.regionIs(place ? w.placed(shape, partName(c.language, c.regions, place)) : shape);
  // While a box is being drawn its place is that of the one before.
  if (box) return c.region.draft ? w.regionIs(w.boxIs(...box)) : placed(w.boxIs(...box));
  if (part) return w.regionIs(partName(c.language, c.regions, part));
  if (!c.region.raster) return w.regionEmpty;
  const parts = marks.flatMap((mark) => (mark.kind === 'part' && mark.mode !== 'take' ? [partName(c.language, c.regions, mark.id)] : []));
  return parts.length === marks.length ? w.regionIs(parts.join(', ')) : placed(w.drawing);
}

function ownWords(c: Controller): TemplateResult {
  const w = c.words;
  const suggested = w.suggested[c.ask.task]?.[c.ask.where] ?? [];
  return html`<div class="stack tight">
    <label class="own"><span class="legend">${w.question}</span>
      <textarea rows="2" maxlength="400" data-test="question" aria-describedby="question-note" .value=${c.ask.question} @input=${(e: Event) => c.setAsk({ question: (e.target as HTMLTextAreaElement).value })}></textarea>
    </label>
    <div class="row tight" role="group" aria-label=${w.suggestions}>
      ${suggested.map(([shown, sent]) => html`<button type="button" class="suggestion" data-test="suggestion" @click=${() => c.setAsk({ question: sent! })}>${shown}</button>`)}
    </div>
    <p class="small soft" id="question-note">${w.questionNote}</p>
  </div>`;
}

function boxFields(c: Controller, fit: (box: Box) => Box): TemplateResult {
  const w = c.words;
  const names = ['left', 'top', 'width', 'height'];
  const set = (at: number, event: Event) => {
    const value = (event.target as HTMLInputElement).valueAsNumber;
    if (!Number.isFinite(value)) return;
    const box = [...(c.region.box ?? [0, 0, 1, 1])] as Box;
    box[at] = value;
    c.mark({ kind: 'box', box: fit(box), mode: 'new' }, true);
  };
  return html`<div class="numbers" role="group" aria-label=${w.boxTitle}>
    ${names.map((name, at) => html`<label class="small">${w.boxFields[at]}
      <input type="number" min=${at < 2 ? 0 : 1} step="1" inputmode="numeric" data-test=${`box-${name}`} .value=${c.region.box ? String(c.region.box[at]) : ''} @change=${(e: Event) => set(at, e)} />
    </label>`)}
  </div>`;
}
