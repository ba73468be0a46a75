/**
 * The engine without the element: load once, then analyse photos, from a page's thread or from a worker. No DOM, no side effect on
 * import.
 *
 *   const a = await Facext.load({ signal, onProgress });
 *   for await (const e of a.analyze(blob, { task: 'age', region: 'left_eyebrow', signal })) …
 */
import { createSession, type Client, type EngineOptions } from './engine';
import { Fault, throwIfAborted } from './fault';
import type { Box, DeviceInfo, EngineEvent, Opened, ProgressEvent, Region, Report, Rle, Task, WorkerEvent } from './protocol';
import type { SessionEvent } from './session';

export { Fault };
export type { EngineOptions } from './engine';
export type * from './protocol';

export interface LoadOptions extends EngineOptions {
  /** Stops the download; what has arrived is kept. */
  signal?: AbortSignal;
  /** Bytes of the model; `notice` for trouble with storage; `building` once all is here. */
  onProgress?(event: ProgressEvent): void;
}

export interface AnalyzeOptions {
  /** `age` explanation with masks (default), `loc` masks, `toe` text, `det` verdict, `cls` family. */
  task?: Task;
  /** Id of a part, see `regions`. At most one of `region`, `box` and `mask`. */
  region?: string;
  /** Pixels of the upright photo. */
  box?: Box;
  /** Run lengths of a drawing of the upright photo's size. */
  mask?: Rle;
  question?: string;
  /** Index of one face; all faces when absent. */
  face?: number;
  /** Also save each face again in lower quality and score it, which takes as long as encoding it three times: `trial` events, `faces[].spread`. */
  spread?: boolean;
  /** Name in the report; default: that of a `File`. */
  name?: string;
  signal?: AbortSignal;
}

/** In order: `opened`; then `stage`, `verdict`, `text`, `phrase`, `mask` and `trial` as they come; at the end `report`. */
export type AnalyzeEvent =
  | { type: 'opened'; opened: Opened }
  | EngineEvent
  /** The worker was lost and the answer begins again: forget what came before. */
  | SessionEvent
  | { type: 'report'; report: Report };

/** What a download would cost, for a button that states it. */
export interface Size {
  total: number;
  missing: number;
}

export class Facext {
  private constructor(private readonly client: Client) {}

  /** Bytes of the model, and of those that are not in this browser yet. Fetches the program and the list of files, no weight. */
  static async size(options: LoadOptions = {}): Promise<Size> {
    const client = createSession(options);
    try {
      const { total, missing } = await client.prepare({ signal: options.signal });
      return { total, missing };
    } finally {
      client.dispose();
    }
  }

  /** Downloads what is missing, verifies everything, starts the model. Rejects with a `Fault` that has a stable `code`. */
  static async load(options: LoadOptions = {}): Promise<Facext> {
    const client = createSession(options);
    try {
      await client.load({ signal: options.signal, onEvent: (event) => isProgress(event) && options.onProgress?.(event) });
      return new Facext(client);
    } catch (thrown) {
      client.dispose();
      throw thrown;
    }
  }

  get device(): DeviceInfo | null {
    return this.client.device;
  }

  /** Parts of the face that can be asked about. */
  get regions(): Region[] {
    return this.client.regions;
  }

  /** Analyses a photo. Leaving the loop early stops the work. The same `Blob` asked about again is not decoded again. */
  async *analyze(photo: Blob | Uint8Array, { name, signal, ...request }: AnalyzeOptions = {}): AsyncGenerator<AnalyzeEvent, Report, void> {
    throwIfAborted(signal);
    const left = new AbortController();
    const both = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
    const events = new Queue<AnalyzeEvent>();
    // One question at a time; one that still waits its turn obeys a stop at once, too.
    both.addEventListener('abort', () => events.end(new Fault('cancelled')), { once: true });
    const { spread = false, ...asked } = request;
    const work = this.turn.then(() => this.answer(photo, name ?? (photo as File).name ?? 'photo', { task: 'age', ...asked }, { signal: both, spread }, events));
    this.turn = work.then(() => events.end(), (thrown) => events.end(thrown));
    try {
      for (;;) {
        const event = await events.next();
        if (!event) throw new Fault('cancelled');
        yield event;
        if (event.type === 'report') return event.report;
      }
    } finally {
      left.abort();
    }
  }

  /** Lets go of the model; the worker ends with its last user. */
  dispose(): void {
    this.client.dispose();
  }

  private turn: Promise<void> = Promise.resolve();
  private last: { photo: Blob | Uint8Array; name: string; opened: Opened } | null = null;

  private async answer(
    photo: Blob | Uint8Array,
    name: string,
    request: Parameters<Client['analyze']>[0],
    { signal, spread }: { signal: AbortSignal; spread: boolean },
    events: Queue<AnalyzeEvent>,
  ): Promise<void> {
    throwIfAborted(signal);
    const onEvent = (event: WorkerEvent | SessionEvent) => {
      if (!isProgress(event)) events.push(event);
    };
    if (this.last?.photo !== photo || this.last.name !== name) {
      this.last = null;
      // Copied: the caller may change its bytes while this one waits its turn.
      const bytes = photo instanceof Uint8Array ? photo.slice() : new Uint8Array(await photo.arrayBuffer());
      this.last = { photo, name, opened: await this.client.open(bytes, name, { signal, onEvent }) };
    }
    events.push({ type: 'opened', opened: this.last.opened });
    const report = await this.client.analyze(request, { signal, onEvent });
    events.push({ type: 'report', report: spread && report.faces.length ? await this.client.spread(report, { signal, onEvent }) : report });
  }
}

function isProgress(event: WorkerEvent | SessionEvent): event is ProgressEvent {
  return event.type === 'progress' || event.type === 'notice' || event.type === 'building';
}

/** Events that wait for a slow reader. */
class Queue<T> {
  private items: T[] = [];
  private wake: (() => void) | null = null;
  private done = false;
  private failure: unknown;

  push(item: T): void {
    if (this.done) return;
    this.items.push(item);
    this.wake?.();
  }

  end(failure?: unknown): void {
    this.done = true;
    this.failure ??= failure;
    this.wake?.();
  }

  /** The next item; null at the end; throws what ended it once the items are read. */
  async next(): Promise<T | null> {
    while (!this.items.length && !this.done) await new Promise<void>((wake) => (this.wake = wake));
    const item = this.items.shift();
    if (item !== undefined) return item;
    if (this.failure !== undefined) throw this.failure;
    return null;
  }
}
