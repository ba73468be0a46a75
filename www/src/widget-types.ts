/** The element as a page that embeds it sees it. No word of Lit: the npm package publishes these types as they are. */
import type { Opened, Report, Request } from './protocol';

export type AnalyzerState = 'preparing' | 'needed' | 'loading' | 'ready' | 'failed';

export interface FacextEventMap {
  /** The model: being prepared, to be downloaded (`missing` bytes of `total`), loading, ready, failed. */
  'facext-state': CustomEvent<{ state: AnalyzerState; missing: number; total: number }>;
  /** Bytes of the model so far. */
  'facext-progress': CustomEvent<{ loaded: number; total: number }>;
  /** A photo was accepted and its faces found. */
  'facext-photo': CustomEvent<{ opened: Opened }>;
  /** A question was answered; told once more when the spread of the score is known, which may change the band: `report.faces[].spread`. */
  'facext-report': CustomEvent<{ report: Report; request: Request }>;
  /** Something went wrong; `code` is stable. */
  'facext-error': CustomEvent<{ code: string; detail: string }>;
}

export interface FacextAnalyzerElement extends HTMLElement {
  /** Directory of the weights; default: `weights/` in `assetBase` if that is set, else beside the page. Read when connected. */
  weightsBase: string;
  /** Directory of `worker.js` and `facext_bg.wasm.gz`; default: where the bundler put them. Read when connected. */
  assetBase: string;
  /** `auto`, `cpu` or `gpu`. Read when connected. */
  device: string;
  /** Address of a photo that the person is asked about; it is fetched after a click. */
  src: string;
  /** Photos may be dropped and pasted anywhere on the page, not only on the element. Read when connected. */
  wholePage: boolean;
  /** State of the model. */
  readonly state: AnalyzerState;
  /** The newest complete report. */
  readonly report: Report | null;
  /** The photo as the engine sees it: size, hash, faces; null before one was accepted. */
  readonly photo: Opened | null;
  /** Downloads the model, as the button does. For a page with a button of its own, which must state the size. */
  load(): Promise<void>;
  /** Shows a photo and, when the model is here, checks it. */
  open(photo: Blob): Promise<void>;
  /** Asks about the open photo. */
  ask(request: Request): Promise<void>;
  /** Stops whatever runs. */
  stop(): void;
}

declare global {
  interface HTMLElementEventMap extends FacextEventMap {}
  interface HTMLElementTagNameMap {
    'facext-analyzer': FacextAnalyzerElement;
  }
}
