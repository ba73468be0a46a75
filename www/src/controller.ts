/**
 * The page's state and what can be done to it; no rendering in here.
 *
 * Rules kept: a new photo replaces the old one only after the engine has accepted it, so a bad file loses nothing; whatever runs can be
 * stopped; one problem is shown at a time, by code.
 */
import { Fault, toFault } from './fault';
import type { Box, Opened, ProgressEvent, Region, Request, Task, WorkerEvent } from './protocol';
import { applyEvent, finish, newRun, sameRef, type MaskRef, type Run } from './run';
import type { Client } from './engine';
import type { SessionEvent } from './session';
import { NOTICES, STAGES, TASKS, bytesWords } from './words';

export type Model =
  | { state: 'preparing' }
  | { state: 'needed'; missing: number; total: number }
  | { state: 'loading'; loaded: number; total: number; fetched: number; toFetch: number; since: number; building: boolean }
  | { state: 'ready' }
  | { state: 'failed' };

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
  where: 'face' | 'region' | 'box';
  task: Task;
  region: string;
  /** Index of a face, or -1 for all. */
  face: number;
}

export class Controller {
  model: Model = { state: 'preparing' };
  photo: Photo | null = null;
  runs: Run[] = [];
  shown = 0;
  ask: Ask = { where: 'face', task: 'age', region: '', face: -1 };
  box: Box | null = null;
  drawing = false;
  /** The stage shows one face large instead of the whole photo. */
  zoomed = false;
  opacity = 0.7;
  problem: Fault | null = null;
  notice = '';
  busy: { what: 'open' | 'analyze'; abort: AbortController; stopping: boolean } | null = null;
  lit: MaskRef | null = null;
  pinned: MaskRef | null = null;
  private loading: AbortController | null = null;
  private nextRun = 1;
  private ticket = 0;

  constructor(
    readonly session: Client,
    private readonly changed: () => void,
    readonly say: (text: string) => void,
  ) {}

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
    this.set({ model: { state: 'preparing' }, problem: null });
    try {
      const { missing, total } = await this.session.prepare();
      this.set({ model: { state: 'needed', missing, total } });
      if (missing === 0) await this.load();
    } catch (thrown) {
      this.fail(thrown);
      this.set({ model: { state: 'failed' } });
    }
  }

  async load(): Promise<void> {
    if (this.model.state !== 'needed') return;
    const { missing, total } = this.model;
    this.loading = new AbortController();
    this.set({
      problem: null,
      model: { state: 'loading', loaded: total - missing, total, fetched: 0, toFetch: missing, since: performance.now(), building: false },
    });
    this.say(missing ? `Downloading the model, ${bytesWords(missing)}` : 'Loading the model');
    try {
      await this.session.load({ signal: this.loading.signal, onEvent: (event) => this.onProgress(event as ProgressEvent) });
      this.set({ model: { state: 'ready' } });
      this.say('The model is ready');
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
    if (event.type === 'notice') return this.set({ notice: NOTICES[event.code] ?? '' });
    if (this.model.state !== 'loading') return;
    if (event.type === 'building') return this.set({ model: { ...this.model, building: true } });
    if (event.fetched > 0) this.say(`${bytesWords(event.loaded)} of ${bytesWords(event.total)}`);
    this.set({ model: { ...this.model, loaded: event.loaded, fetched: event.fetched } });
  }

  useProcessor(): void {
    this.session.useDevice('cpu');
    this.set({ problem: null });
    if (this.model.state === 'failed') void this.prepare();
    else if (this.photo?.opened) void this.analyze({ task: 'age' }, '');
  }

  // ---- photos and questions -----------------------------------------------------------------------------------------------

  async choose(file: Blob & { name?: string }): Promise<void> {
    const name = file.name || 'pasted photo';
    const ticket = ++this.ticket;
    this.stop();
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
      this.say('Photo chosen. The model must be downloaded before it can be checked.');
      return;
    }
    await this.examine(photo);
  }

  private async examine(photo: Photo): Promise<void> {
    this.stop();
    const busy = this.begin('open');
    this.say('Looking for faces');
    try {
      const opened = await this.session.open(photo.bytes, photo.name, { signal: busy.abort.signal });
      this.replacePhoto({ ...photo, opened, width: opened.file.width, height: opened.file.height });
    } catch (thrown) {
      if (this.photo === photo) this.set({ photo: null });
      if (this.photo?.url !== photo.url) URL.revokeObjectURL(photo.url);
      this.end(busy);
      return this.fail(thrown);
    }
    this.end(busy);
    await this.analyze({ task: 'age' }, '');
  }

  private replacePhoto(photo: Photo): void {
    if (this.photo && this.photo.url !== photo.url) URL.revokeObjectURL(this.photo.url);
    this.set({ photo, runs: [], shown: 0, box: null, drawing: false, zoomed: false, lit: null, pinned: null, ask: { where: 'face', task: 'age', region: '', face: -1 } });
  }

  /** Sends the question that the form holds. */
  askNow(): Promise<void> {
    const { where, task, region, face } = this.ask;
    const request: Request = { task };
    if (face >= 0) request.face = face;
    const names: string[] = [TASKS.find((t) => t.id === task)?.label ?? task];
    if (where === 'region') {
      request.region = region || this.regions[0]?.id || '';
      names.push(this.regions.find((r) => r.id === request.region)?.en ?? request.region);
    } else if (where === 'box' && this.box) {
      request.box = this.box;
      names.push(`box ${this.box.join(', ')}`);
    } else {
      names.push('whole face');
    }
    if (face >= 0 && (this.photo?.opened?.faces.length ?? 0) > 1) names.push(`face ${face + 1}`);
    return this.analyze(request, names.join(' · '));
  }

  async analyze(request: Request, label: string): Promise<void> {
    if (!this.photo?.opened || this.busy) return;
    const busy = this.begin('analyze');
    const id = this.nextRun++;
    const boxes = this.photo.opened.faces.map((face) => face.box);
    this.set({ problem: null, runs: [...this.runs, newRun(id, request, label, boxes)], shown: id, lit: null, pinned: null });
    try {
      const report = await this.session.analyze(request, { signal: busy.abort.signal, onEvent: (event) => this.onEvent(id, event) });
      this.update(id, (run) => finish(run, report));
      this.say('The answer is ready');
    } catch (thrown) {
      const fault = toFault(thrown);
      this.update(id, (run) => ({ ...run, state: fault.code === 'cancelled' ? 'stopped' : 'failed', stage: null }));
      this.fail(fault);
    } finally {
      this.end(busy);
    }
  }

  private onEvent(id: number, event: WorkerEvent | SessionEvent): void {
    switch (event.type) {
      case 'progress':
      case 'building':
        return;
      case 'notice':
        return this.set({ notice: NOTICES[event.code] ?? '' });
      case 'restart':
        this.say('The analysis was interrupted and starts again');
        return this.update(id, (run) => applyEvent(run, event));
      case 'stage':
        this.say(STAGES[event.stage] ?? event.stage);
    }
    this.update(id, (run) => applyEvent(run, event));
  }

  /** Stops whatever runs, within 200 ms. */
  stop(): void {
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

  /** While a box is being drawn. */
  draftBox(box: Box | null): void {
    this.set({ box });
  }

  setBox(box: Box | null): void {
    this.set({ box, ask: box ? { ...this.ask, where: 'box' } : this.ask });
  }

  setDrawing(drawing: boolean): void {
    this.set({ drawing });
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
    this.set({ busy });
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
    if (fault.code === 'cancelled') return this.say('Stopped');
    if (fault.code === 'storage.gone') this.set({ model: { state: 'needed', missing: Number(fault.detail) || 0, total: Number(fault.detail) || 0 } });
    this.set({ problem: fault });
  }

  private set(change: Partial<Pick<Controller, 'model' | 'photo' | 'runs' | 'shown' | 'ask' | 'box' | 'drawing' | 'zoomed' | 'opacity' | 'problem' | 'notice' | 'busy' | 'lit' | 'pinned'>>): void {
    Object.assign(this, change);
    this.changed();
  }
}
