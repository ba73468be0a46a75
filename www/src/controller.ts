/**
 * The page's state and what can be done to it; no rendering in here.
 *
 * Rules kept: a new photo replaces the old one only after the engine has accepted it, so a bad file loses nothing; whatever runs can be
 * stopped; one problem is shown at a time, by code.
 */
import { Fault, toFault } from './fault';
import type { Box, Opened, ProgressEvent, Region, Report, Request, Task, WorkerEvent } from './protocol';
import type { History, Mark } from './region';
import { RegionState } from './region-state';
import { applyEvent, finish, newRun, sameRef, type MaskRef, type Run } from './run';
import type { Client } from './engine';
import type { SessionEvent } from './session';
import { bytesWords, knows, learn, wordsOf, type Language, type Words } from './words';
import { saving } from '#lazy';

export type Model =
  | { state: 'preparing' }
  | { state: 'needed'; missing: number; total: number }
  | { state: 'loading'; loaded: number; total: number; fetched: number; toFetch: number; since: number; building: boolean }
  | { state: 'ready' }
  | { state: 'failed' };

/** How a run without an answer ended, by its fault; what is not answered is not worth another try. */
const ENDS: Record<string, Run['state']> = { cancelled: 'stopped', 'request.off_limits': 'refused' };

export interface Photo {
  url: string;
  name: string;
  bytes: Uint8Array;
  /** Null while the model is not here yet: a preview only. */
  opened: Opened | null;
  /** Size of the upright photo: from the engine, before that from the browser. */
  width: number;
  height: number;
}

export interface Ask {
  where: 'face' | 'region';
  task: Task;
  /** Index of a face, or -1 for all. */
  face: number;
  /** Own wording; the task's own question when empty. */
  question: string;
}

const NOTHING_ASKED: Ask = { where: 'face', task: 'age', face: -1, question: '' };

/** What is kept of an earlier photo, by its hash; no pixels. */
interface Kept {
  runs: Run[];
  region: History;
  ask: Ask;
}

const KEPT_PHOTOS = 12;

/** The look that nobody asked for in so many words. */
const FIRST: Pick<Run, 'first' | 'marks' | 'place'> = { first: true, marks: [], place: null };

export class Controller {
  model: Model = { state: 'preparing' };
  photo: Photo | null = null;
  runs: Run[] = [];
  shown = 0;
  ask: Ask = NOTHING_ASKED;
  language: Language = 'en';
  words: Words = wordsOf('en');
  readonly region: RegionState;
  /** The stage shows one face large instead of the whole photo. */
  zoomed = false;
  opacity = 0.7;
  hatch = true;
  /** All marks are hidden while a key or a button is held. */
  hiding = false;
  /** Share of the photo's width that is shown without marks, for a look before and after; null for none. */
  split: number | null = null;
  /** Masks that are switched off, and the one that alone is shown. */
  hidden: ReadonlySet<string> = new Set();
  isolated: MaskRef | null = null;
  problem: Fault | null = null;
  notice = '';
  busy: { what: 'open' | 'analyze'; abort: AbortController; stopping: boolean } | null = null;
  /** After an answer: its faces are being saved again and scored. `tried` counts over all of its faces. */
  spreading: { run: number; abort: AbortController; tried: number } | null = null;
  lit: MaskRef | null = null;
  pinned: MaskRef | null = null;
  private loading: AbortController | null = null;
  private nextRun = 1;
  private ticket = 0;
  private kept = new Map<string, Kept>();
  /** Answers whose spread is not wanted, or could not be had. */
  private left = new WeakSet<Report>();
  private wanted: Language = 'en';

  constructor(
    readonly session: Client,
    private readonly changed: () => void,
    readonly say: (text: string) => void,
  ) {
    this.region = new RegionState(() => this.changed());
  }

  /** At once where the language is here already; else when its file has come. Without it the words stay as they are. */
  setLanguage(language: Language): void {
    if (language === this.wanted) return;
    this.wanted = language;
    const speak = () => language === this.wanted && this.set({ language, words: wordsOf(language) });
    if (knows(language)) speak();
    else learn(language).then(speak, () => {});
  }

  get regions(): Region[] {
    return this.session.regions;
  }

  get run(): Run | null {
    return this.runs.find((run) => run.id === (this.active?.run ?? this.shown)) ?? null;
  }

  get active(): MaskRef | null {
    return this.lit ?? this.pinned;
  }

  // ---- the model ----------------------------------------------------------------------------------------------------------

  /** Chooses the device and sees what is stored; loads at once when nothing has to be downloaded. */
  async prepare(): Promise<void> {
    this.set({ model: { state: 'preparing' }, problem: this.unsaid });
    try {
      const { missing, total } = await this.session.prepare();
      this.set({ model: { state: 'needed', missing, total } });
      if (missing === 0) await this.load();
    } catch (thrown) {
      this.fail(thrown);
      this.set({ model: { state: 'failed' } });
    }
  }

  /** What has nothing to do with the model stays told while the model is loaded. */
  private get unsaid(): Fault | null {
    return this.problem?.code === 'source.failed' ? this.problem : null;
  }

  async load(): Promise<void> {
    if (this.model.state !== 'needed') return;
    const { missing, total } = this.model;
    this.loading = new AbortController();
    this.set({
      problem: this.unsaid,
      model: { state: 'loading', loaded: total - missing, total, fetched: 0, toFetch: missing, since: performance.now(), building: false },
    });
    this.say(missing ? this.words.downloadingSay(bytesWords(this.words, missing)) : this.words.loadingModel);
    try {
      // With what is needed for saving, so that nothing at all is fetched once the model is ready.
      const rest = saving().catch(() => {});
      await this.session.load({ signal: this.loading.signal, onEvent: (event) => this.onProgress(event as ProgressEvent) });
      await rest;
      this.set({ model: { state: 'ready' } });
      this.say(this.words.modelReady);
      if (this.photo && !this.photo.opened) await this.examine(this.photo);
    } catch (thrown) {
      this.fail(thrown);
      const { missing: left } = await this.session.measure().catch(() => ({ missing }));
      this.set({ model: { state: 'needed', missing: left, total } });
    } finally {
      this.loading = null;
    }
  }

  cancelLoad(): void {
    this.loading?.abort();
  }

  private onProgress(event: ProgressEvent): void {
    if (event.type === 'notice') return this.set({ notice: this.words.notices[event.code] ?? '' });
    if (this.model.state !== 'loading') return;
    if (event.type === 'building') return this.set({ model: { ...this.model, building: true } });
    if (event.fetched > 0) this.say(this.words.loadedOf(bytesWords(this.words, event.loaded), bytesWords(this.words, event.total)));
    this.set({ model: { ...this.model, loaded: event.loaded, fetched: event.fetched } });
  }

  useProcessor(): void {
    this.session.useDevice('cpu');
    this.set({ problem: null });
    if (this.model.state === 'failed') void this.prepare();
    else if (this.photo?.opened) void this.analyze({ task: 'age' }, FIRST);
  }

  // ---- photos and questions -----------------------------------------------------------------------------------------------

  async choose(file: Blob & { name?: string }): Promise<void> {
    const name = file.name || this.words.pastedPhoto;
    const ticket = ++this.ticket;
    if (this.busy) this.stop();
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await file.arrayBuffer());
    } catch {
      return this.fail(new Fault('file.unreadable', name));
    }
    // Another photo was chosen while this one was being read.
    if (ticket !== this.ticket) return;
    const photo: Photo = { url: URL.createObjectURL(file), name, bytes, opened: null, width: 0, height: 0 };
    this.set({ problem: null });
    if (this.model.state !== 'ready') {
      // Shown now, examined when the model is here.
      this.replacePhoto(photo);
      this.say(this.words.photoWaits);
      return;
    }
    await this.examine(photo);
  }

  private async examine(photo: Photo): Promise<void> {
    if (this.busy) this.stop();
    const busy = this.begin('open');
    this.say(this.words.stages.face);
    try {
      const opened = await this.session.open(photo.bytes, photo.name, { signal: busy.abort.signal });
      this.replacePhoto({ ...photo, opened, width: opened.file.width, height: opened.file.height });
    } catch (thrown) {
      if (this.photo === photo) this.set({ photo: null });
      if (this.photo?.url !== photo.url) URL.revokeObjectURL(photo.url);
      this.end(busy);
      this.fail(thrown);
      return this.measureSpread();
    }
    this.end(busy);
    if (this.runs.length === 0) await this.analyze({ task: 'age' }, FIRST);
    else void this.measureSpread();
  }

  private replacePhoto(photo: Photo): void {
    this.keep();
    if (this.photo && this.photo.url !== photo.url) URL.revokeObjectURL(this.photo.url);
    // What was asked about this photo before is there again.
    const kept = photo.opened ? this.kept.get(photo.opened.file.sha256) : undefined;
    const runs = kept?.runs ?? [];
    this.set({ photo, runs, shown: runs.at(-1)?.id ?? 0, zoomed: false, split: null, lit: null, pinned: null, hidden: new Set(), isolated: null, ask: kept?.ask ?? NOTHING_ASKED });
    this.region.begin(photo.width, photo.height, photo.opened?.faces ?? [], kept?.region);
    this.region.set({ regions: this.regions });
    void this.findParts(photo);
  }

  private keep(): void {
    const hash = this.photo?.opened?.file.sha256;
    if (!hash || !this.runs.some((run) => run.state === 'done')) return;
    const runs = this.runs.map((run): Run => (run.state === 'running' ? { ...run, state: 'stopped', stage: null } : run));
    this.kept.delete(hash);
    this.kept.set(hash, { runs, region: this.region.past, ask: this.ask });
    for (const oldest of [...this.kept.keys()].slice(0, -KEPT_PHOTOS)) this.kept.delete(oldest);
  }

  /** Asked for before the first analysis begins, because the engine does one thing at a time. */
  private async findParts(photo: Photo): Promise<void> {
    try {
      const maps = await Promise.all((photo.opened?.faces ?? []).map((_, face) => this.session.parts(face)));
      if (this.photo === photo) this.region.set({ maps });
    } catch (thrown) {
      // Without them parts are chosen from the list only; what broke shows itself in the analysis, too.
      console.warn('facext: no map of the parts', toFault(thrown).message);
    }
  }

  /** Sends the question that the form holds. */
  async askNow(): Promise<void> {
    const { where, task, face, question } = this.ask;
    const region = where === 'region' ? this.region.request : {};
    if (!region) return;
    const request: Request = { task, ...(face >= 0 ? { face } : {}), ...region, ...(question.trim() ? { question: question.trim() } : {}) };
    const about = where === 'region' ? { marks: this.region.marks, place: this.region.place } : { marks: [], place: null };
    await this.analyze(request, { first: false, ...about });
  }

  async analyze(request: Request, asked: Pick<Run, 'first' | 'marks' | 'place'>): Promise<void> {
    if (!this.photo?.opened || this.busy) return;
    const busy = this.begin('analyze');
    const id = this.nextRun++;
    const boxes = this.photo.opened.faces.map((face) => face.box);
    this.set({ problem: null, runs: [...this.runs, newRun(id, request, asked, boxes)], shown: id, lit: null, pinned: null });
    try {
      const report = await this.session.analyze(request, { signal: busy.abort.signal, onEvent: (event) => this.onEvent(id, event) });
      this.update(id, (run) => finish(run, report));
      this.say(this.words.answerReady);
    } catch (thrown) {
      const fault = toFault(thrown);
      this.update(id, (run) => ({ ...run, state: ENDS[fault.code] ?? 'failed', stage: null }));
      this.fail(fault);
    } finally {
      this.end(busy);
    }
    void this.measureSpread();
  }

  /**
   * Saves the faces of an answer again and scores them, the newest answer first. Whatever is asked meanwhile goes first; what was found
   * is kept in the engine, so going on costs only the rest.
   */
  private async measureSpread(): Promise<void> {
    if (this.busy || this.spreading) return;
    const run = this.runs.findLast(({ report }) => report?.faces.some((face) => !face.spread) && !this.left.has(report));
    if (!run?.report) return;
    const { report } = run;
    const spreading = { run: run.id, abort: new AbortController(), tried: 0 };
    this.set({ spreading });
    try {
      const onEvent = (event: WorkerEvent | SessionEvent) => {
        if (event.type === 'trial' && this.spreading?.run === run.id) this.set({ spreading: { ...this.spreading, tried: this.spreading.tried + 1 } });
      };
      const wider = await this.session.spread(report, { signal: spreading.abort.signal, onEvent });
      this.update(run.id, (old) => finish(old, wider));
      if (wider.faces.some((face, i) => face.band !== report.faces[i]?.band)) this.say(this.words.spread.changedSay);
    } catch (thrown) {
      // The answer stands without it. After a stop for another question it is tried again, when that one has ended.
      if (toFault(thrown).code === 'cancelled') return;
      this.left.add(report);
    } finally {
      if (this.isSpreading(spreading.abort)) this.set({ spreading: null });
    }
    void this.measureSpread();
  }

  private isSpreading(abort: AbortController): boolean {
    return this.spreading?.abort === abort;
  }

  /** Does without it, for the answers that are there. */
  skipSpread(): void {
    for (const { report } of this.runs) if (report) this.left.add(report);
    this.spreading?.abort.abort();
    this.set({ spreading: null });
  }

  private onEvent(id: number, event: WorkerEvent | SessionEvent): void {
    switch (event.type) {
      case 'progress':
      case 'building':
      case 'trial':
        return;
      case 'notice':
        return this.set({ notice: this.words.notices[event.code] ?? '' });
      case 'restart':
        this.say(this.words.interrupted);
        return this.update(id, (run) => applyEvent(run, event));
      case 'stage':
        this.say(this.words.stages[event.stage] ?? event.stage);
    }
    this.update(id, (run) => applyEvent(run, event));
  }

  /** Stops whatever runs, within 200 ms. */
  stop(): void {
    if (this.spreading && !this.busy) return this.skipSpread();
    if (!this.busy || this.busy.stopping) return;
    this.busy.abort.abort();
    this.set({ busy: { ...this.busy, stopping: true } });
  }

  dismiss(): void {
    this.set({ problem: null });
  }

  // ---- small changes ------------------------------------------------------------------------------------------------------

  setAsk(change: Partial<Ask>): void {
    this.set({ ask: { ...this.ask, ...change } });
  }

  /** A mark on the photo is what the next question is about. */
  mark(mark: Mark, merge = false): void {
    this.region.push(mark, merge);
    if (this.region.marks.length) this.setAsk({ where: 'region' });
  }

  /** Takes up the region of an earlier question. */
  restoreRegion(run: Run): void {
    this.region.restore(run.marks);
    this.setAsk({ where: 'region' });
  }

  setZoomed(zoomed: boolean): void {
    this.set({ zoomed });
  }

  /** The face to show large: the one that is lit, else the one that is asked about, else the largest. */
  get zoomFace(): Box | null {
    const faces = this.photo?.opened?.faces ?? [];
    const chosen = faces[this.pinned?.face ?? this.ask.face];
    return (chosen ?? [...faces].sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3])[0])?.box ?? null;
  }

  setOpacity(opacity: number): void {
    this.set({ opacity });
  }

  setView(change: Partial<Pick<Controller, 'hatch' | 'hiding' | 'split'>>): void {
    this.set(change);
  }

  isHidden(ref: MaskRef): boolean {
    return this.isolated ? !sameRef(this.isolated, ref) : this.hidden.has(key(ref));
  }

  /** Switches one mask off or on. */
  toggleMask(ref: MaskRef): void {
    const hidden = new Set(this.hidden);
    if (!hidden.delete(key(ref))) hidden.add(key(ref));
    this.set({ hidden, isolated: null });
  }

  /** Shows one mask alone, or all again. */
  isolate(ref: MaskRef): void {
    this.set({ isolated: sameRef(ref, this.isolated) ? null : ref, shown: ref.run });
  }

  /** Lights a mask and its phrase while the pointer or the focus is on one of them. */
  light(ref: MaskRef | null): void {
    if (!sameRef(ref, this.lit)) this.set({ lit: ref });
  }

  /** A tap keeps it lit until the next one; this is what touch screens have instead of hovering. */
  pin(ref: MaskRef | null): void {
    this.set({ pinned: sameRef(ref, this.pinned) ? null : ref, shown: ref?.run ?? this.shown });
  }

  photoShown(width: number, height: number): void {
    if (this.photo && !this.photo.opened) this.set({ photo: Object.assign(this.photo, { width, height }) });
  }

  // ---- helpers ------------------------------------------------------------------------------------------------------------

  private begin(what: 'open' | 'analyze') {
    const busy = { what, abort: new AbortController(), stopping: false };
    this.spreading?.abort.abort();
    this.set({ busy, spreading: null });
    return busy;
  }

  /** Another piece of work may have begun meanwhile; only one's own end counts. */
  private end(busy: { abort: AbortController }): void {
    if (this.busy?.abort === busy.abort) this.set({ busy: null });
  }

  private update(id: number, change: (run: Run) => Run): void {
    this.set({ runs: this.runs.map((run) => (run.id === id ? change(run) : run)) });
  }

  /** Shows what went wrong; a stop is no problem. */
  fail(thrown: unknown): void {
    const fault = toFault(thrown);
    if (fault.code === 'cancelled') return this.say(this.words.stoppedSay);
    if (fault.code === 'storage.gone') this.set({ model: { state: 'needed', missing: Number(fault.detail) || 0, total: Number(fault.detail) || 0 } });
    this.set({ problem: fault });
  }

  private set(change: Partial<Pick<Controller, 'model' | 'photo' | 'runs' | 'shown' | 'ask' | 'language' | 'words' | 'zoomed' | 'opacity' | 'hatch' | 'hiding' | 'split' | 'hidden' | 'isolated' | 'problem' | 'notice' | 'busy' | 'spreading' | 'lit' | 'pinned'>>): void {
    Object.assign(this, change);
    this.changed();
  }
}

function key(ref: MaskRef): string {
  return `${ref.run}:${ref.face}:${ref.mask}`;
}
