/** How steady a result is: what came out when the face was saved again in lower quality; and that this is being tried. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import type { FaceOut } from './protocol';
import type { Run } from './run';

/** Savings that the engine tries for each face; for the count that is shown meanwhile only. */
const TRIALS = 3;

export function spreadProgress(c: Controller): TemplateResult | typeof nothing {
  const { spreading, words: w } = c;
  if (!spreading) return nothing;
  const faces = c.runs.find((run) => run.id === spreading.run)?.report?.faces.length ?? 1;
  return html`<div class="row small soft" data-test="spread-running">
    <span>${w.spread.running(spreading.tried + 1, Math.max(spreading.tried + 1, faces * TRIALS))} …</span>
    <button class="small push" data-test="spread-skip" @click=${() => c.skipSpread()}>${w.spread.skip}</button>
  </div>`;
}

export function spreadOf(c: Controller, run: Run, face: FaceOut | undefined): TemplateResult | typeof nothing {
  const w = c.words.spread;
  if (!face?.spread) return nothing;
  const { tried } = face.spread;
  const steady = tried.every((trial) => trial.band === tried[0]?.band);
  const gaveWay = run.report?.warnings.includes('spread_crosses_bands') ?? false;
  const each = tried.map((trial) => w.trial(w.how[trial.how] ?? trial.how.replaceAll('_', ' '), (c.words.bands[trial.band] ?? c.words.bands.inconclusive).title));
  return html`<div class="small spread" data-test="spread" data-gave-way=${gaveWay}>
    <p class=${gaveWay ? '' : 'soft'}>${gaveWay ? w.gaveWay : steady ? w.steady(tried.map((trial) => w.how[trial.how] ?? trial.how)) : w.moved}</p>
    ${steady && !gaveWay ? nothing : html`<ul class="soft">${each.map((line) => html`<li>${line}</li>`)}</ul>`}
  </div>`;
}
