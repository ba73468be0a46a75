/**
 * The page's side of the worker: load, open, analyse, stop, and survive.
 *
 * No DOM in here, so that it can serve as an engine without the element. One worker serves one session, one call at a time. Two promises
 * matter: stop takes at most 200 ms, because a worker deep in one wasm call cannot hear us and is then terminated; and a dead worker (panic,
 * lost device, killed process) is replaced and the analysis repeated on the same bytes, exactly once. A spare worker whose script is
 * already loaded stands by, and the compiled wasm and the manifest are kept here: a replacement needs no network.
 */
import { Fault, isFatal, throwIfAborted, toFault } from './fault';
import type { EngineName } from './choice';
import { threadsHere } from './threads';
import type { Call, DeviceInfo, Opened, PartMap, PrepareArgs, Prepared, Ready, Region, Reply, Report, Request, WorkerEvent } from './protocol';

/** How long a worker may take to obey a stop before it is terminated; the rest of the 200 ms is for the page. */
const STOP_GRACE_MS = 120;
/** How long readiness may wait for the spare worker. */
const SPARE_MS = 2000;

export interface SessionOptions {
  /** Makes one worker. A function, because each bundler wants to see the `new Worker(...)` in its own way. */
  spawn(): Worker;
  /** Absolute URLs of the wasm files. */
  wasm: Record<EngineName, string>;
  /** Absolute URL of the weights directory. */
  weightsBase: string;
  /** `auto`, `cpu` or `gpu`. */
  device: string;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** The photo that the call is about, where several clients share the session; the same object in each call. */
  photo?: Photo;
  onEvent?(event: WorkerEvent | SessionEvent): void;
}

/** The session's own event: the worker was lost, and the work starts again from the beginning. */
export type SessionEvent = { type: 'restart'; code: string };

interface Pending {
  resolve(value: unknown): void;
  reject(fault: Fault): void;
  onEvent?: CallOptions['onEvent'];
}

export interface Photo {
  bytes: Uint8Array;
  name: string;
}

type Outgoing = Call extends infer C ? (C extends { id: number } ? Omit<C, 'id'> : never) : never;

export class Session {
  private worker: Worker | null = null;
  private spare: Worker | null = null;
  private pending = new Map<number, Pending>();
  private nextId = 1;
  private prepared: Prepared | null = null;
  /** One after a crash: helpers are the first thing to do without. */
  private threads = threadsHere();
  private loaded: Ready | null = null;
  /** How far the present worker has come. */
  private level: 'none' | 'prepared' | 'loaded' = 'none';
  private photo: Photo | null = null;
  /** The photo that the present worker has open; one that cannot be opened leaves the earlier one there. */
  private opened: Photo | null = null;
  private queue: Promise<unknown> = Promise.resolve();
  private disposed = false;

  constructor(private readonly options: SessionOptions) {}

  get device(): DeviceInfo | null {
    return this.loaded?.device ?? this.prepared?.device ?? null;
  }

  get regions(): Region[] {
    return this.loaded?.regions ?? [];
  }

  get isLoaded(): boolean {
    return this.loaded !== null;
  }

  /** Chooses the device and measures the download. Asks for no weight. */
  prepare(options: CallOptions = {}): Promise<Prepared> {
    return this.enqueue(options.signal, () => this.reachPrepared(options));
  }

  /** What is still missing, after an interrupted `load`. */
  measure(): Promise<{ total: number; missing: number }> {
    return this.enqueue(undefined, async () => {
      const prepared = await this.reachPrepared({});
      Object.assign(prepared, await this.call({ type: 'measure' }, {}));
      return { total: prepared.total, missing: prepared.missing };
    });
  }

  /** Brings the weights in and builds the engine. `progress` events count bytes. */
  load(options: CallOptions = {}): Promise<Ready> {
    return this.enqueue(options.signal, () => this.reachLoaded(options, true));
  }

  /** Decodes a photo and finds its faces. A photo that fails leaves the earlier one in place. */
  open(bytes: Uint8Array, name: string, options: CallOptions = {}): Promise<Opened> {
    const photo = options.photo ?? { bytes, name };
    return this.enqueue(options.signal, () =>
      this.repeatOnce(options, async () => {
        await this.reachLoaded(options);
        const opened = await this.sendPhoto(photo, options);
        this.photo = photo;
        return opened;
      }),
    );
  }

  /** Where the concepts lie on a face of the open photo. */
  parts(face: number, options: CallOptions = {}): Promise<PartMap> {
    return this.withPhoto(options, async () => (await this.call({ type: 'parts', face }, options)) as PartMap);
  }

  /** Answers one request about the open photo, streaming events. */
  analyze(request: Request, options: CallOptions = {}): Promise<Report> {
    return this.withPhoto(options, async () => (await this.call({ type: 'analyze', request }, options)) as Report);
  }

  /**
   * Measures the spread of a report about the open photo. Work that nobody waits for: a stop is obeyed at once here, but the worker goes on to
   * the end of its present trial instead of being replaced, because that costs the next question less.
   */
  spread(report: Report, options: CallOptions = {}): Promise<Report> {
    return this.withPhoto(options, async () => (await this.call({ type: 'spread', report }, options, true)) as Report);
  }

  /** Does something with the open photo, which a replaced worker is given again first. */
  private withPhoto<T>(options: CallOptions, work: () => Promise<T>): Promise<T> {
    return this.enqueue(options.signal, () =>
      this.repeatOnce(options, async () => {
        await this.reachLoaded(options);
        const photo = options.photo ?? this.photo;
        if (!photo) throw new Fault('request.bad', 'no photo is open');
        if (this.opened !== photo) await this.sendPhoto(photo, options);
        return work();
      }),
    );
  }

  /** Uses another device from the next call on. */
  useDevice(device: string): void {
    this.options.device = device;
    // The engine for the processor alone knows no other device.
    if (device !== 'cpu' && this.prepared?.program.engine === 'cpu') this.prepared = null;
    this.drop(new Fault('cancelled'));
  }

  /** Lets go of the worker and everything in it. */
  dispose(): void {
    this.disposed = true;
    this.drop(new Fault('cancelled'));
    this.spare?.terminate();
    this.spare = null;
  }

  // ---- one call at a time -------------------------------------------------------------------------------------------------

  private enqueue<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const run = this.queue.then(async () => {
      throwIfAborted(signal);
      if (this.disposed) throw new Fault('cancelled');
      try {
        return await work();
      } catch (thrown) {
        const fault = toFault(thrown);
        if (isFatal(fault.code)) this.drop(fault);
        throw fault;
      }
    });
    this.queue = run.catch(() => {});
    if (!signal) return run;
    // A call that still waits its turn must obey a stop at once, too.
    return new Promise<T>((resolve, reject) => {
      const late = () => setTimeout(() => reject(new Fault('cancelled')), STOP_GRACE_MS);
      signal.addEventListener('abort', late, { once: true });
      run.then(resolve, reject).finally(() => signal.removeEventListener('abort', late));
    });
  }

  /** Repeats the work once when its worker died under it. */
  private async repeatOnce<T>(options: CallOptions, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      const fault = toFault(thrown);
      if (!isFatal(fault.code)) throw fault;
      this.drop(fault);
      this.threads = 1;
      throwIfAborted(options.signal);
      options.onEvent?.({ type: 'restart', code: fault.code });
    }
    return work();
  }

  // ---- levels of readiness ------------------------------------------------------------------------------------------------

  private async reachPrepared(options: CallOptions): Promise<Prepared> {
    if (this.prepared && this.level !== 'none') return this.prepared;
    const args: PrepareArgs = {
      wasm: this.options.wasm,
      threads: this.threads,
      weightsBase: this.options.weightsBase,
      device: this.options.device,
      ...(this.prepared ? { manifest: this.prepared.manifest, program: this.prepared.program } : {}),
    };
    this.prepared = (await this.call({ type: 'prepare', args }, options)) as Prepared;
    this.level = 'prepared';
    return this.prepared;
  }

  /** Only an explicit `load` may fetch: a replacement worker must find the weights in storage, nothing is downloaded behind one's back. */
  private async reachLoaded(options: CallOptions, mayFetch = false): Promise<Ready> {
    if (this.loaded && this.level === 'loaded') return this.loaded;
    const prepared = await this.reachPrepared(options);
    if (!mayFetch && prepared.missing > 0) {
      this.loaded = null;
      throw new Fault('storage.gone', `${prepared.missing}`);
    }
    this.loaded = (await this.call({ type: 'load' }, options)) as Ready;
    // Another client of this session that asks from now on has nothing to download.
    prepared.missing = 0;
    this.level = 'loaded';
    await this.standBy(prepared.program.engine);
    return this.loaded;
  }

  private async sendPhoto(photo: Photo, options: CallOptions): Promise<Opened> {
    const opened = (await this.call({ type: 'open', bytes: photo.bytes, name: photo.name }, options)) as Opened;
    this.opened = photo;
    return opened;
  }

  // ---- the worker ---------------------------------------------------------------------------------------------------------

  /** `patient`: a stop waits for the worker. */
  private call(message: Outgoing, { signal, onEvent }: CallOptions, patient = false): Promise<unknown> {
    throwIfAborted(signal);
    const worker = this.ensureWorker();
    const id = this.nextId++;
    return new Promise<unknown>((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const stop = () => {
        worker.postMessage({ id: 0, type: 'cancel', target: id } satisfies Call);
        if (patient) return;
        timer = setTimeout(() => {
          this.drop(new Fault('cancelled'));
          // Ready again before the next question, from storage.
          if (this.loaded && !this.disposed) this.enqueue(undefined, () => this.reachLoaded({})).catch(() => {});
        }, STOP_GRACE_MS);
      };
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        this.pending.delete(id);
      };
      this.pending.set(id, {
        resolve: (value) => (settle(), signal?.aborted ? reject(new Fault('cancelled')) : resolve(value)),
        reject: (fault) => (settle(), reject(signal?.aborted ? new Fault('cancelled') : fault)),
        onEvent: (event) => !signal?.aborted && onEvent?.(event),
      });
      signal?.addEventListener('abort', stop, { once: true });
      worker.postMessage({ ...message, id } as Call);
    });
  }

  private ensureWorker(): Worker {
    if (this.worker) return this.worker;
    const worker = this.spare ?? this.options.spawn();
    this.spare = null;
    this.worker = worker;
    worker.onmessage = (message: MessageEvent<Reply>) => this.receive(message.data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.drop(new Fault('worker.crashed', event.message ?? ''));
    };
    worker.onmessageerror = () => this.drop(new Fault('worker.crashed', 'a message could not be read'));
    return worker;
  }

  /**
   * Keeps a second worker with its scripts loaded, so that a replacement asks nothing of the network. Over when they are, or when it takes too
   * long: nothing shall be fetched once the model is ready.
   */
  private standBy(engine: EngineName): Promise<void> {
    if (this.disposed || this.spare) return Promise.resolve();
    const spare = this.options.spawn();
    this.spare = spare;
    return new Promise((resolve) => {
      setTimeout(resolve, SPARE_MS);
      spare.onmessage = () => resolve();
      spare.onerror = (event) => {
        event.preventDefault();
        if (this.spare === spare) this.spare = null;
        resolve();
      };
      spare.postMessage({ id: 0, type: 'warm', engine } satisfies Call);
    });
  }

  private receive(reply: Reply): void {
    if (reply.type === 'crash') return this.drop(new Fault(reply.error.code, reply.error.detail));
    const pending = this.pending.get(reply.id);
    if (!pending) return;
    if (reply.type === 'done') pending.resolve(reply.value);
    else if (reply.type === 'error') pending.reject(new Fault(reply.error.code, reply.error.detail));
    else pending.onEvent?.(reply.event);
  }

  /** Ends the present worker; whatever waits for it fails with `fault`. The next call makes a new one. */
  private drop(fault: Fault): void {
    if (this.worker) {
      this.worker.onmessage = this.worker.onerror = this.worker.onmessageerror = null;
      this.worker.terminate();
      this.worker = null;
    }
    this.level = 'none';
    this.opened = null;
    for (const pending of [...this.pending.values()]) pending.reject(fault);
  }
}
