/** Results: one card for each question, one part for each face; phrases and marks light each other up. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import type { MaskOut } from './protocol';
import { area } from './rle';
import { sameRef, type FaceLive, type MaskRef, type Run } from './run';
import { BANDS, FAMILIES, LIMITS, STAGES, noFaceWords, percentWords, qualityWords, warningWords } from './words';
import { PALETTE } from './overlay';

const BAND_ORDER = ['no_sign', 'inconclusive', 'signs', 'strong_signs'] as const;

/** Number of a mask, counted through the faces of its run, so that numbers on the photo are unique. */
export function markNumber(run: Run, face: number, mask: number): number {
  let before = 0;
  for (let i = 0; i < face; i++) before += Math.max(run.faces[i]?.masks.length ?? 0, ...(run.faces[i]?.pieces.map((p) => (p.mask ?? -1) + 1) ?? []));
  return before + mask + 1;
}

export function resultCards(c: Controller, save: (run: Run) => void): TemplateResult {
  const opened = c.photo?.opened;
  // The newest answer first: it is what was just asked for.
  const runs = [...c.runs].reverse();
  return html`${c.busy?.what === 'open' ? working(c, 'Looking for faces') : nothing}
    ${opened?.status === 'no_usable_face' ? noFace(c, save) : runs.map((run) => runCard(c, run, save))}`;
}

function working(c: Controller, text: string): TemplateResult {
  return html`<section class="card row" aria-label="Working"><span>${text} …</span>${stopButton(c)}</section>`;
}

function stopButton(c: Controller): TemplateResult {
  return html`<button class="push" data-test="stop" ?disabled=${c.busy?.stopping ?? false} @click=${() => c.stop()}>Stop</button>`;
}

function noFace(c: Controller, save: (run: Run) => void): TemplateResult {
  const run = c.runs[0];
  return html`<section class="card stack" part="result" data-test="result" aria-label="Result">
    <div class="band"><span class="title">Not applicable: no usable face</span><p>${noFaceWords(c.photo!.opened!.reason)}</p></div>
    ${run?.report ? html`<div><button data-test="save" @click=${() => save(run)}>Save report (JSON)</button></div>` : nothing}
  </section>`;
}

function runCard(c: Controller, run: Run, save: (run: Run) => void): TemplateResult {
  const running = run.state === 'running';
  const stage = run.stage ? STAGES[run.stage] : 'Starting';
  const many = run.faces.length > 1;
  return html`<section class="card stack" part="result" data-test="result" data-state=${run.state} aria-label=${run.label || 'Result'} aria-busy=${running}>
    ${run.label ? html`<h2 class="asked">${run.label}</h2>` : nothing}
    ${running
      ? html`<div class="row"><span class="soft small" data-test="stage">${stage}${many ? ` (face ${run.stageFace + 1} of ${run.faces.length})` : ''} …</span>${stopButton(c)}</div>`
      : nothing}
    ${run.restarted ? html`<p class="small soft">The program was interrupted and began this answer again.</p>` : nothing}
    ${run.state === 'stopped' ? html`<p class="small soft" data-test="stopped">Stopped. What was found so far stays.</p>` : nothing}
    ${run.faces.map((face, i) => faceView(c, run, face, i, many))}
    ${warnings(c, run)}
    ${run.report
      ? html`<div class="row">
          <button data-test="save" @click=${() => save(run)}>Save report (JSON)</button>
          <span class="small soft">${took(run)}</span>
        </div>`
      : nothing}
    ${!running && !run.report
      ? html`<div><button data-test="again" ?disabled=${c.busy !== null} @click=${() => c.analyze(run.request, run.label)}>Try again</button></div>`
      : nothing}
  </section>`;
}

/** What the answer adds to the warnings that stand beside the photo. */
function warnings(c: Controller, run: Run): TemplateResult | typeof nothing {
  const known = new Set(c.photo?.opened?.warnings);
  const own = run.report?.warnings.filter((code) => !known.has(code)) ?? [];
  return own.length ? html`<ul class="small soft">${own.map((code) => html`<li>${warningWords(code)}</li>`)}</ul>` : nothing;
}

function took(run: Run): string {
  const total = run.report?.timings_ms['total'] ?? 0;
  return total > 0 ? `Took ${(total / 1000).toFixed(1)} s` : '';
}

function faceView(c: Controller, run: Run, face: FaceLive, index: number, many: boolean): TemplateResult {
  if (run.request.face !== undefined && run.request.face !== index) return html``;
  const caret = run.state === 'running' && face.pieces.length > 0 && index === run.stageFace;
  return html`<div class="face stack" role="group" aria-label="Face ${index + 1}">
    ${many ? html`<h3>Face ${index + 1}</h3>` : nothing}
    ${face.verdict && showsVerdict(c, run) ? verdict(face.verdict, run.state === 'done') : nothing}
    ${face.pieces.length
      ? html`<p class="answer ${caret ? 'caret' : ''}" data-test="answer">${face.pieces.map((piece) => (piece.mask === null ? piece.text : phrase(c, run, index, piece.mask, piece.text)))}</p>`
      : nothing}
    ${face.masks.some(Boolean)
      ? html`<div><h3 class="soft marks-title">Marked places</h3>
          <ul class="marks">${face.masks.map((mask, id) => (mask ? html`<li>${markRow(c, run, face, index, id, mask)}</li>` : nothing))}</ul></div>`
      : nothing}
  </div>`;
}

/** The verdict belongs to the face, not to a question: it stands once, in the first complete answer. */
function showsVerdict(c: Controller, run: Run): boolean {
  return run.id === (c.runs.find((r) => r.state === 'done') ?? c.runs[0])?.id || run.request.task === 'det' || run.request.task === 'cls';
}

/** Until the answer is complete the band is provisional: words that contradict it turn it into "inconclusive". */
function verdict({ band, family }: { band: keyof typeof BANDS; family: string }, final: boolean): TemplateResult {
  const words = BANDS[band] ?? BANDS.inconclusive;
  const step = BAND_ORDER.indexOf(band as (typeof BAND_ORDER)[number]);
  const named = band === 'signs' || band === 'strong_signs' ? (FAMILIES[family] ?? '') : '';
  return html`<div class="band ${band}" data-test="band" data-band=${band}>
    <div class="scale" aria-hidden="true">${BAND_ORDER.map((_, i) => html`<i class=${i <= step ? 'on' : ''}></i>`)}</div>
    <span class="title">${final ? words.title : `So far: ${words.title.toLowerCase()}`}</span>
    <p class="small soft">${words.text}${named ? html` <strong>${named}.</strong>` : nothing}</p>
  </div>`;
}

/** Everything a control needs to light its mask: hover, focus, and a tap that keeps it. */
function lighting(c: Controller, ref: MaskRef) {
  return {
    on: () => c.light(ref),
    off: () => c.light(null),
    tap: () => c.pin(ref),
    lit: sameRef(c.active, ref),
    pinned: sameRef(c.pinned, ref),
  };
}

function phrase(c: Controller, run: Run, face: number, mask: number, text: string): TemplateResult {
  const number = markNumber(run, face, mask);
  const light = lighting(c, { run: run.id, face, mask });
  return html`<button class="phrase c${(number - 1) % PALETTE.length} ${light.lit ? 'on' : ''}" part="phrase" data-test="phrase" data-mask=${mask} aria-pressed=${light.pinned}
    @pointerenter=${light.on} @pointerleave=${light.off} @focus=${light.on} @blur=${light.off} @click=${light.tap}
  ><span class="chip" aria-hidden="true">${number}</span>${text}<span class="hidden">, mark ${number}</span></button>`;
}

function markRow(c: Controller, run: Run, face: FaceLive, index: number, id: number, mask: MaskOut): TemplateResult {
  const number = markNumber(run, index, id);
  const light = lighting(c, { run: run.id, face: index, mask: id });
  const name = face.pieces.find((piece) => piece.mask === id)?.text ?? mask.concept?.replaceAll('_', ' ') ?? `mark ${number}`;
  const share = face.box ? area(mask.rle) / Math.max(1, face.box[2] * face.box[3]) : 0;
  return html`<button class="mark c${(number - 1) % PALETTE.length} ${light.lit ? 'on' : ''}" part="mark" data-test="mark" data-mask=${id} aria-pressed=${light.pinned}
    @pointerenter=${light.on} @pointerleave=${light.off} @focus=${light.on} @blur=${light.off} @click=${light.tap}
  ><span><span class="chip">${number}</span>${name}</span><span class="soft small">${percentWords(share)} of the face · ${qualityWords(mask.quality)}</span></button>`;
}

export function limitsCard(): TemplateResult {
  return html`<section class="card stack limits-card" part="limits" aria-label="What this does not show" data-test="limits">
    <h2>What this does not show</h2>
    <ul class="limits small">${LIMITS.map((line) => html`<li>${line}</li>`)}</ul>
  </section>`;
}

export function introCard(): TemplateResult {
  const icon = (path: string) => html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${path} /></svg>`;
  const steps: [string, string, string][] = [
    ['M4 12s3-6 8-6 8 6 8 6-3 6-8 6-8-6-8-6zm8 2.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z', 'It looks for traces of manipulation', 'For each face: how strong the evidence is, and why, in sentences whose words point to places on the photo.'],
    ['M6 11V8a6 6 0 1 1 12 0v3M5 11h14v9H5z', 'Your photo stays here', 'The model runs inside this browser. After its one download this page asks nothing of any network.'],
    ['M4 20h4L19 9l-4-4L4 16zM13 7l4 4', 'You can ask back', 'Pick a part of the face or draw a box, and ask what it shows.'],
  ];
  return html`<section class="card" aria-label="What this page does">
    <ul class="steps">${steps.map(([path, title, text]) => html`<li>${icon(path)}<div><h3>${title}</h3><p class="small soft">${text}</p></div></li>`)}</ul>
  </section>`;
}
