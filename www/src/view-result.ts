/** The result at a glance, and below it every question with its answer; phrases and marks light each other up. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import { PALETTE } from './palette';
import type { Band, FaceOut, MaskOut } from './protocol';
import { area } from './rle';
import { sameRef, type FaceLive, type MaskRef, type Run } from './run';
import { saveBox, type SaveHandlers } from './view-save';
import { spreadOf, spreadProgress } from './view-spread';
import { inChinese, measuredWords, noFaceWords, partName, percentWords, qualityWords, warningWords } from './words';

const BAND_ORDER = ['no_sign', 'inconclusive', 'signs', 'strong_signs'] as const;

/** Number of a mask, counted through the faces of its run, so that numbers on the photo are unique. */
export function markNumber(run: Run, face: number, mask: number): number {
  let before = 0;
  for (let i = 0; i < face; i++) before += Math.max(run.faces[i]?.masks.length ?? 0, ...(run.faces[i]?.pieces.map((p) => (p.mask ?? -1) + 1) ?? []));
  return before + mask + 1;
}

export function resultCards(c: Controller, save: SaveHandlers): TemplateResult {
  const opened = c.photo?.opened;
  if (c.busy?.what === 'open') return html`<section class="card row" aria-label=${c.words.working}><span>${c.words.stages.face} …</span>${stopButton(c)}</section>`;
  if (opened?.status === 'no_usable_face') return noFace(c, save);
  // The newest answer first: it is what was just asked for.
  return html`${glance(c)} ${[...c.runs].reverse().map((run, i) => runCard(c, run, save, i === 0))}`;
}

function stopButton(c: Controller): TemplateResult {
  return html`<button class="push" data-test="stop" ?disabled=${c.busy?.stopping ?? false} @click=${() => c.stop()}>${c.words.stop}</button>`;
}

function noFace(c: Controller, save: SaveHandlers): TemplateResult {
  const run = c.runs[0];
  return html`<section class="card stack" part="result" data-test="result" aria-label=${c.words.resultTitle}>
    <div class="band"><span class="title">${c.words.noFaceTitle}</span><p>${noFaceWords(c.words, c.photo!.opened!.reason)}</p></div>
    ${run?.report ? html`<div class="row">${saveBox(c.words, run.report, save)}</div>` : nothing}
  </section>`;
}

// ---- at a glance ----------------------------------------------------------------------------------------------------------

/** The verdict belongs to a face, not to a question: it stands once for each face, as the first complete look gave it. */
function glance(c: Controller): TemplateResult | typeof nothing {
  const faces = c.photo?.opened?.faces ?? [];
  const seen = faces.flatMap((face, index) => {
    const asked = c.runs.filter((run) => run.faces[index]?.verdict);
    const run = asked.find((r) => r.state === 'done' && !r.marks.length) ?? asked.find((r) => r.state === 'done') ?? asked[0];
    return run ? [{ face, index, run }] : [];
  });
  if (!seen.length) return nothing;
  const w = c.words;
  return html`<section class="card stack glance" part="glance" data-test="glance" aria-label=${w.resultTitle}>
    <h2 class="hidden">${w.resultTitle}</h2>
    ${seen.map(({ face, index, run }) => html`<div class="face stack tight" role="group" aria-label=${w.face(index + 1)}>
      ${faces.length > 1 ? html`<h3>${w.face(index + 1)}</h3>` : nothing}
      ${verdict(c, run.faces[index]!.verdict!, run)}
      ${run.state === 'done' ? html`<p class="small soft" data-test="checked">${w.checked(Math.round(face.box[2]), Math.round(face.box[3]), run.faces[index]!.masks.filter(Boolean).length)}</p>` : nothing}
      ${spreadOf(c, run, reportOf(run, index))}
    </div>`)}
    ${spreadProgress(c)}
  </section>`;
}

/** The report's entry about a face of the photo: it has no entries for faces that were not asked about. */
function reportOf(run: Run, index: number): FaceOut | undefined {
  const box = run.faces[index]?.box;
  return run.report?.faces.find((face) => !!box && face.box.every((v, i) => v === box[i]));
}

/** Until the answer is complete the band is provisional: words that contradict it turn it into "inconclusive". */
function verdict(c: Controller, { band, family }: { band: Band; family: string }, run: Run): TemplateResult {
  const w = c.words;
  const final = run.state === 'done';
  const differs = run.report?.warnings.includes('words_name_another_family') ?? false;
  const words = w.bands[band] ?? w.bands.inconclusive;
  const step = BAND_ORDER.indexOf(band);
  const named = band === 'signs' || band === 'strong_signs' ? (w.families[family] ?? '') : '';
  return html`<div class="band ${band}" data-test="band" data-band=${band}>
    <div class="scale" aria-hidden="true">${BAND_ORDER.map((_, i) => html`<i class=${i <= step ? 'on' : ''}></i>`)}</div>
    <span class="title">${final ? words.title : w.soFar(words.title)}</span>
    <p class="small soft">${words.text}${named ? html` <strong>${w.sentence(named)}</strong>${differs ? html` <span data-test="kinds-differ">${w.kindsDiffer}</span>` : nothing}` : nothing}</p>
    <p class="small not-shown" data-test="not-shown">${w.doesNotShow(words.not)}</p>
  </div>`;
}

// ---- questions and answers ------------------------------------------------------------------------------------------------

/** What was asked, in the present language. */
function askedWords(c: Controller, run: Run): string {
  const w = c.words;
  if (run.first) return w.firstLook;
  const { task, region, box, mask, face, question } = run.request;
  const shape = box ? w.boxIs(...box) : mask ? w.drawing : w.wholeFace;
  const parts = [w.tasks[task].label, region ? partName(c.language, c.regions, region) : run.place ? w.placed(shape, partName(c.language, c.regions, run.place)) : shape];
  if (face !== undefined && (c.photo?.opened?.faces.length ?? 0) > 1) parts.push(w.face(face + 1));
  if (question) parts.push(w.quoted(question));
  return w.asked(parts);
}

function runCard(c: Controller, run: Run, save: SaveHandlers, newest: boolean): TemplateResult {
  const w = c.words;
  const running = run.state === 'running';
  const stage = run.stage ? w.stages[run.stage] : w.starting;
  const many = run.faces.length > 1;
  const asked = askedWords(c, run);
  return html`<section class="card stack" part="result" data-test="result" data-state=${run.state} aria-label=${asked} aria-busy=${running}>
    <details class="answer-card" ?open=${newest || c.runs.length < 3}>
      <summary><h2 class="asked">${asked}</h2></summary>
      <div class="stack">
        ${running
          ? html`<div class="row"><span class="soft small" data-test="stage">${stage}${many ? ` (${w.ofFace(run.stageFace + 1, run.faces.length)})` : ''} …</span>${stopButton(c)}</div>`
          : nothing}
        ${run.restarted ? html`<p class="small soft">${w.restarted}</p>` : nothing}
        ${run.state === 'stopped' ? html`<p class="small soft" data-test="stopped">${w.stopped}</p>` : nothing}
        ${run.state === 'failed' ? html`<p class="small soft">${w.failed}</p>` : nothing}
        ${run.state === 'refused' ? html`<p class="small soft">${w.errors['request.off_limits']!.title}</p>` : nothing}
        ${run.faces.map((face, i) => faceView(c, run, face, i, many))}
        ${warnings(c, run)}
        <div class="row">
          ${run.report ? saveBox(w, run.report, save) : nothing}
          ${run.marks.length && !running ? html`<button data-test="reuse" @click=${() => c.restoreRegion(run)}>${w.showRegion}</button>` : nothing}
          ${run.report ? html`<span class="small soft">${took(c, run)}</span>` : nothing}
          ${!running && !run.report && run.state !== 'refused'
            ? html`<button data-test="again" ?disabled=${c.busy !== null} @click=${() => c.analyze(run.request, run)}>${w.tryAgain}</button>`
            : nothing}
        </div>
      </div>
    </details>
  </section>`;
}

/** What the answer adds to the warnings that stand beside the photo. */
function warnings(c: Controller, run: Run): TemplateResult | typeof nothing {
  const known = new Set(c.photo?.opened?.warnings);
  const own = run.report?.warnings.filter((code) => !known.has(code)) ?? [];
  return own.length ? html`<ul class="small soft">${own.map((code) => html`<li>${warningWords(c.words, code)}</li>`)}</ul>` : nothing;
}

function took(c: Controller, run: Run): string {
  // What nobody waited for does not count.
  const total = (run.report?.timings_ms['total'] ?? 0) - (run.report?.timings_ms['spread'] ?? 0);
  return total > 0 ? c.words.took((total / 1000).toFixed(1)) : '';
}

function faceView(c: Controller, run: Run, face: FaceLive, index: number, many: boolean): TemplateResult {
  if (run.request.face !== undefined && run.request.face !== index) return html``;
  const w = c.words;
  const caret = run.state === 'running' && face.pieces.length > 0 && index === run.stageFace;
  // While it is being written an answer has no complete sentences to translate.
  const translated = c.language === 'zh' && run.state === 'done' ? inChinese(face.pieces, c.regions) : null;
  const foreign = c.language !== 'en' && !translated;
  return html`<div class="face stack" role="group" aria-label=${w.face(index + 1)}>
    ${many ? html`<h3>${w.face(index + 1)}</h3>` : nothing}
    ${face.pieces.length
      ? html`<p class="answer ${caret ? 'caret' : ''}" data-test="answer" lang=${foreign ? 'en' : nothing}>${(translated ?? face.pieces).map((piece) => (piece.mask === null ? piece.text : phrase(c, run, index, piece.mask, piece.text)))}</p>
        ${foreign && run.state === 'done' ? html`<p class="small soft" data-test="english">${w.englishAnswer}</p>` : nothing}`
      : nothing}
    ${face.masks.some(Boolean)
      ? html`<div><h3 class="soft marks-title">${w.markedPlaces}</h3>
          <ul class="marks">${face.masks.map((mask, id) => (mask ? html`<li>${markRow(c, run, face, index, id, mask)}</li>` : nothing))}</ul></div>`
      : nothing}
  </div>`;
}

/** Pointer and focus light a mask and its words; a tap keeps it lit. */
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
  // The space before it stands before its number.
  return html`${/^\s/.test(text) ? ' ' : nothing}<button class="phrase c${(number - 1) % PALETTE.length} ${light.lit ? 'on' : ''}" part="phrase" data-test="phrase" data-mask=${mask} aria-pressed=${light.pinned}
    @pointerenter=${light.on} @pointerleave=${light.off} @focus=${light.on} @blur=${light.off} @click=${light.tap}
  ><span class="chip" aria-hidden="true">${number}</span>${text.trimStart()}<span class="hidden">, ${c.words.mark(number)}</span></button>`;
}

/** What a mask is called: the words of its phrase, or its concept. */
function maskLabel(c: Controller, face: FaceLive, id: number, mask: MaskOut): string | null {
  const said = face.pieces.find((piece) => piece.mask === id)?.text.trim();
  if (c.language !== 'zh') return said ?? (mask.concept && partName(c.language, c.regions, mask.concept));
  const region = c.regions.find((r) => r.en === said) ?? c.regions.find((r) => r.id === mask.concept);
  return region?.zh ?? said ?? null;
}

function markRow(c: Controller, run: Run, face: FaceLive, index: number, id: number, mask: MaskOut): TemplateResult {
  const w = c.words;
  const number = markNumber(run, index, id);
  const ref = { run: run.id, face: index, mask: id };
  const light = lighting(c, ref);
  const name = maskLabel(c, face, id, mask) ?? w.mark(number);
  const share = percentWords(w, face.box ? area(mask.rle) / Math.max(1, face.box[2] * face.box[3]) : 0);
  const quality = qualityWords(w, mask.quality);
  const measured = measuredWords(w, mask);
  return html`<div class="mark-row ${c.isHidden(ref) ? 'off' : ''}">
    <button class="mark c${(number - 1) % PALETTE.length} ${light.lit ? 'on' : ''}" part="mark" data-test="mark" data-mask=${id} aria-pressed=${light.pinned}
      @pointerenter=${light.on} @pointerleave=${light.off} @focus=${light.on} @blur=${light.off} @click=${light.tap}
    ><span><span class="hidden">${w.mark(number)}, </span><span class="chip" aria-hidden="true">${number}</span>${name}<span class="hidden">: </span></span><span class="soft small">${w.ofTheFace(share)} · ${quality}</span></button>
    <button class="icon" data-test="mask-toggle" aria-pressed=${c.isHidden(ref)} aria-label=${w.hideMark(number)} title=${w.hideMark(number)} @click=${() => c.toggleMask(ref)}>
      <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true"><path d="M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6zm9 2.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z" /><path class="slash" d="M5 20L19 4" /></svg>
    </button>
    <button class="small" data-test="mask-only" aria-pressed=${sameRef(c.isolated, ref)} aria-label=${w.onlyMark(number)} title=${w.onlyMark(number)} @click=${() => c.isolate(ref)}>${w.only}</button>
    ${measured ? html`<p class="small soft measured" data-test="measured">${measured}</p>` : nothing}
  </div>`;
}

// ---- always there -----------------------------------------------------------------------------------------------------------

export function limitsCard(c: Controller): TemplateResult {
  return html`<section class="card stack limits-card" part="limits" aria-label=${c.words.limitsTitle} data-test="limits">
    <h2>${c.words.limitsTitle}</h2>
    <ul class="limits small">${c.words.limits.map((line) => html`<li>${line}</li>`)}</ul>
  </section>`;
}

export function introCard(c: Controller): TemplateResult {
  const icons = [
    'M4 12s3-6 8-6 8 6 8 6-3 6-8 6-8-6-8-6zm8 2.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
    'M6 11V8a6 6 0 1 1 12 0v3M5 11h14v9H5z',
    'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  ];
  return html`<section class="card" aria-label=${c.words.introTitle}>
    <ul class="steps">${c.words.intro.map(([title, text], i) => html`<li>
      <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${icons[i] ?? ''} /></svg>
      <div><h3>${title}</h3><p class="small soft">${text}</p></div>
    </li>`)}</ul>
  </section>`;
}
