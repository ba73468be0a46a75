/**
 * What a page that embeds the element sees of it: attributes, properties, methods and events. Drawing is `element.ts`'s.
 *
 * The types are in `widget-types.ts`. Every event bubbles, crosses shadow roots, and has a typed detail. They are told from the difference between what was told and what
 * is, so no state change can forget its event.
 */
import { LitElement, type PropertyDeclarations } from 'lit';
import { Controller } from './controller';
import { createSession } from './engine';
import type { Fault } from './fault';
import type { Opened, Report, Request } from './protocol';
import type { AnalyzerState, FacextAnalyzerElement, FacextEventMap } from './widget-types';

/**
 * @fires facext-state - The model's state changed: `{state, missing, total}`.
 * @fires facext-progress - Bytes of the model so far: `{loaded, total}`.
 * @fires facext-photo - A photo was accepted and its faces found: `{opened}`.
 * @fires facext-report - A question was answered: `{report, request}`; once more when the spread of the score is known.
 * @fires facext-error - Something went wrong: `{code, detail}`.
 */
export abstract class Widget extends LitElement implements FacextAnalyzerElement {
  static override properties: PropertyDeclarations = {
    weightsBase: { attribute: 'weights-base' },
    assetBase: { attribute: 'asset-base' },
    device: {},
    src: {},
    wholePage: { attribute: 'whole-page', type: Boolean },
  };

  /** Directory of the weights; default: `weights/` in `asset-base` if that is set, else beside the page. Read when connected. */
  declare weightsBase: string;
  /** Directory of `worker.js` and `facext_bg.wasm.gz`; default: where the bundler put them. Read when connected. */
  declare assetBase: string;
  /** `auto`, `cpu` or `gpu`. Read when connected. */
  declare device: string;
  /** Address of a photo that the person is asked about; it is fetched after a click. */
  declare src: string;
  /** Photos may be dropped and pasted anywhere on the page, not only on the element. */
  declare wholePage: boolean;

  protected controller: Controller | null = null;
  private told: { state?: string; loaded?: number; opened?: Opened | null; reports: WeakSet<Report>; problem?: Fault | null } = { reports: new WeakSet() };

  constructor() {
    super();
    this.weightsBase = '';
    this.assetBase = '';
    this.device = '';
    this.src = '';
    this.wholePage = false;
  }

  /** State of the model. */
  get state(): AnalyzerState {
    return this.controller?.model.state ?? 'preparing';
  }

  /** The newest complete report. */
  get report(): Report | null {
    return this.controller?.runs.findLast((run) => run.report)?.report ?? null;
  }

  /** The photo as the engine sees it: size, hash, faces; null before one was accepted. */
  get photo(): Opened | null {
    return this.controller?.photo?.opened ?? null;
  }

  /** Downloads the model, as the button does. For a page with a button of its own, which must state the size. */
  async load(): Promise<void> {
    await this.controller?.load();
  }

  /** Shows a photo and, when the model is here, checks it. */
  async open(photo: Blob): Promise<void> {
    await this.controller?.choose(photo);
  }

  /** Asks about the open photo. */
  async ask(request: Request): Promise<void> {
    await this.controller?.analyze(request, { first: false, marks: [], place: null });
  }

  /** Stops whatever runs. */
  stop(): void {
    this.controller?.cancelLoad();
    this.controller?.stop();
  }

  /** Makes the controller unless an earlier connection left one. */
  protected attach(say: (text: string) => void): Controller {
    if (this.controller) return this.controller;
    const session = createSession({ weightsBase: this.weightsBase, assetBase: this.assetBase, device: this.device });
    const controller = new Controller(session, () => this.changed(), say);
    // Another element on this page has loaded the model that both use.
    session.onLoaded = () => controller.model.state === 'needed' && void controller.prepare();
    this.told = { reports: new WeakSet() };
    return (this.controller = controller);
  }

  /** A moved element is connected again in the same task; only one that stays away lets go of the engine. */
  protected detach(): void {
    setTimeout(() => {
      if (this.isConnected) return;
      this.controller?.session.dispose();
      this.controller = null;
    });
  }

  private changed(): void {
    this.requestUpdate();
    const c = this.controller;
    if (!c) return;
    const { model, told } = { model: c.model, told: this.told };
    if (model.state !== told.state) {
      told.state = model.state;
      const { missing = 0, total = 0 } = model.state === 'needed' ? model : {};
      this.tell('facext-state', { state: model.state, missing, total });
    }
    if (model.state === 'loading' && model.loaded !== told.loaded) {
      told.loaded = model.loaded;
      this.tell('facext-progress', { loaded: model.loaded, total: model.total });
    }
    const opened = c.photo?.opened ?? null;
    if (opened !== told.opened) {
      told.opened = opened;
      if (opened) this.tell('facext-photo', { opened });
    }
    for (const { report, request } of c.runs) {
      if (!report || told.reports.has(report)) continue;
      told.reports.add(report);
      this.tell('facext-report', { report, request });
    }
    if (c.problem !== told.problem) {
      told.problem = c.problem;
      if (c.problem) this.tell('facext-error', c.problem.problem);
    }
  }

  private tell<K extends keyof FacextEventMap>(type: K, detail: FacextEventMap[K]['detail']): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
