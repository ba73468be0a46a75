/**
 * Engines for whoever asks: one worker and one copy of the model for each choice of weights and device, however many elements
 * or callers use it. No side effect on import, no DOM.
 *
 * A client has a photo of its own; the session that it shares opens that photo again when another client's is there. Calls of all
 * clients wait in one line. The last client that leaves ends the worker, a little later: an element that is only moved in the
 * document must not lose a loaded model.
 */
import { assetUrls } from '#assets';
import { Fault } from './fault';
import type { DeviceInfo, Opened, PartMap, Prepared, Ready, Region, Report, Request } from './protocol';
import { Session, type CallOptions, type Photo } from './session';
import { spawnWorker } from './spawn';

const LINGER_MS = 1500;

export interface EngineOptions {
  /** Directory of the weights, relative to the page. Default: `weights/` in `assetBase` if that is given, else beside the page. */
  weightsBase?: string;
  /** Directory that holds `worker.js`, `facext_bg.wasm.gz` and `facext_cpu.wasm.gz`, relative to the page. Default: where the bundler put them. */
  assetBase?: string;
  /** `auto`, `cpu` or `gpu`. */
  device?: string;
}

interface Shared {
  session: Session;
  clients: Set<Client>;
  end?: ReturnType<typeof setTimeout>;
}

const sessions = new Map<string, Shared>();

/** A directory as an absolute URL with a slash at its end. */
function directory(path: string, base: string): string {
  const url = new URL(path, base);
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url.href;
}

/** A client of the shared engine; nothing is fetched before its first call. */
export function createSession(options: EngineOptions = {}): Client {
  const page = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (!page || typeof Worker === 'undefined') throw new Fault('program.broken', 'there are no web workers here');
  const assetBase = options.assetBase ? directory(options.assetBase, page) : '';
  const weightsBase = directory(options.weightsBase || './weights/', options.weightsBase ? page : assetBase || page);
  const device = options.device || 'auto';
  const key = JSON.stringify([weightsBase, assetBase, device]);
  let shared = sessions.get(key);
  if (!shared) {
    const urls = assetUrls(assetBase);
    shared = { session: new Session({ spawn: () => spawnWorker(urls.worker), wasm: urls.wasm, weightsBase, device }), clients: new Set() };
    sessions.set(key, shared);
  }
  clearTimeout(shared.end);
  const client: Client = new Client(shared, () => {
    shared.clients.delete(client);
    if (shared.clients.size > 0) return;
    shared.end = setTimeout(() => {
      sessions.delete(key);
      shared.session.dispose();
    }, LINGER_MS);
  });
  shared.clients.add(client);
  return client;
}

/** What an element or a caller has of the shared session. */
export class Client {
  /** Called when another client has brought the model in. */
  onLoaded: (() => void) | null = null;
  private photo: Photo | null = null;
  private left = false;
  private readonly gone = new AbortController();

  constructor(
    private readonly shared: Shared,
    private readonly leave: () => void,
  ) {}

  get device(): DeviceInfo | null {
    return this.shared.session.device;
  }

  get regions(): Region[] {
    return this.shared.session.regions;
  }

  get isLoaded(): boolean {
    return this.shared.session.isLoaded;
  }

  prepare(options: CallOptions = {}): Promise<Prepared> {
    return this.shared.session.prepare(this.mine(options));
  }

  measure(): Promise<{ total: number; missing: number }> {
    return this.shared.session.measure();
  }

  async load(options: CallOptions = {}): Promise<Ready> {
    const ready = await this.shared.session.load(this.mine(options));
    for (const other of this.shared.clients) if (other !== this) other.onLoaded?.();
    return ready;
  }

  async open(bytes: Uint8Array, name: string, options: CallOptions = {}): Promise<Opened> {
    const photo = { bytes, name };
    const opened = await this.shared.session.open(bytes, name, { ...this.mine(options), photo });
    this.photo = photo;
    return opened;
  }

  analyze(request: Request, options: CallOptions = {}): Promise<Report> {
    return this.photo ? this.shared.session.analyze(request, { ...this.mine(options), photo: this.photo }) : this.noPhoto();
  }

  /** The report with the spread of its scores over savings in lower quality. */
  spread(report: Report, options: CallOptions = {}): Promise<Report> {
    return this.photo ? this.shared.session.spread(report, { ...this.mine(options), photo: this.photo }) : this.noPhoto();
  }

  /** Where the concepts lie on a face of the open photo. */
  parts(face: number, options: CallOptions = {}): Promise<PartMap> {
    return this.photo ? this.shared.session.parts(face, { ...this.mine(options), photo: this.photo }) : this.noPhoto();
  }

  private noPhoto(): Promise<never> {
    return Promise.reject(new Fault('request.bad', 'no photo is open'));
  }

  /** Uses another device from the next call on, for all who share the engine. */
  useDevice(device: string): void {
    this.shared.session.useDevice(device);
  }

  /** Stops what this client asked for and leaves the engine to the others. */
  dispose(): void {
    if (this.left) return;
    this.left = true;
    this.photo = null;
    this.gone.abort();
    this.leave();
  }

  private mine(options: CallOptions): CallOptions {
    return { ...options, signal: options.signal ? AbortSignal.any([options.signal, this.gone.signal]) : this.gone.signal };
  }
}
