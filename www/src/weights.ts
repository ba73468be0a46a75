/**
 * Getting every file of the weights into the engine: stored copies first, the network for the rest, the engine as the judge.
 *
 * A file that fails verification is evicted and fetched once more; failing again is an error that names it. A lock makes a second tab of
 * the page wait, so that two tabs never download the same file.
 */
import { download } from './download';
import { Fault, throwIfAborted, toFault } from './fault';
import type { Engine, FileEntry, ProgressEvent } from './protocol';
import type { Store } from './store';

/** At most this many progress messages a second reach the page. */
const PROGRESS_INTERVAL_MS = 100;

export interface LoadOptions {
  weightsBase: string;
  /** Names that an earlier, interrupted call already gave to this engine. */
  added: Set<string>;
  signal: AbortSignal;
  onEvent(event: ProgressEvent): void;
}

/** Bytes of all files, and of those not here yet. */
export async function measure(engine: Engine, store: Store, added: Set<string>): Promise<{ total: number; missing: number }> {
  const files = engine.files();
  const here = await Promise.all(files.map((file) => (added.has(file.name) ? file.bytes : store.have(file))));
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  return { total, missing: total - here.reduce((sum, n) => sum + n, 0) };
}

export async function addAll(engine: Engine, store: Store, options: LoadOptions): Promise<void> {
  if (!('locks' in navigator)) return addAllLocked(engine, store, options);
  await navigator.locks.request(`facext-weights:${options.weightsBase}`, { signal: options.signal }, () =>
    addAllLocked(engine, store, options),
  );
}

async function addAllLocked(engine: Engine, store: Store, { weightsBase, added, signal, onEvent }: LoadOptions): Promise<void> {
  const files = engine.files();
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  let before = 0;
  let fetched = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let latest: ProgressEvent | undefined;
  const tell = () => {
    timer = undefined;
    if (latest) onEvent(latest);
    latest = undefined;
  };
  // The last state before a pause is told too: a stalled download must not show an old number.
  const report = (file: FileEntry, received: number) => {
    latest = { type: 'progress', loaded: before + received, total, fetched, file: file.name };
    timer ??= setTimeout(tell, PROGRESS_INTERVAL_MS);
  };

  // A file is read while the engine verifies the one before it.
  const read = (file?: FileEntry) => (file && !added.has(file.name) ? store.read(file).catch(() => null) : Promise.resolve(null));

  try {
    await store.evictExcept(files);
    let next = read(files[0]);
    for (const [i, file] of files.entries()) {
      throwIfAborted(signal);
      report(file, 0);
      const stored = await next;
      next = read(files[i + 1]);
      if (!added.has(file.name) && !(stored && (await addStored(engine, store, file, stored, onEvent)))) {
        await addFetched(engine, store, file, new URL(file.name, weightsBase).href, {
          signal,
          onBytes: (received, justNow) => {
            fetched += justNow;
            report(file, received);
          },
          onStorageFull: () => onEvent({ type: 'notice', code: 'storage.full', detail: file.name }),
        }, onEvent);
      }
      added.add(file.name);
      before += file.bytes;
      report(file, 0);
    }
  } finally {
    clearTimeout(timer);
    tell();
  }
  // Asked only now: a browser is more willing to keep what was really used.
  await navigator.storage?.persist?.().catch(() => false);
}

/** True when a stored copy passed verification. A bad one is evicted, never handed on. */
async function addStored(engine: Engine, store: Store, file: FileEntry, stored: Uint8Array, onEvent: LoadOptions['onEvent']): Promise<boolean> {
  try {
    await engine.add_file(file.name, stored);
    return true;
  } catch (thrown) {
    const fault = toFault(thrown);
    if (!isDamage(fault)) throw fault;
    await store.remove(file);
    onEvent({ type: 'notice', code: 'storage.damaged', detail: file.name });
    return false;
  }
}

async function addFetched(
  engine: Engine,
  store: Store,
  file: FileEntry,
  url: string,
  hooks: Parameters<typeof download>[3],
  onEvent: LoadOptions['onEvent'],
): Promise<void> {
  for (let again = false; ; again = true) {
    const part = await store.part(file);
    try {
      const bytes = await download(url, file, part, hooks);
      await engine.add_file(file.name, bytes);
      if (!(await part.commit(bytes)) && store.kind !== 'memory') {
        onEvent({ type: 'notice', code: 'storage.full', detail: file.name });
      }
      return;
    } catch (thrown) {
      const fault = toFault(thrown);
      if (isDamage(fault)) part.restart();
      if (!isDamage(fault) || again) throw named(fault, file);
    } finally {
      part.close();
    }
  }
}

/** Faults of the file's content, which another download may mend. */
function isDamage(fault: Fault): boolean {
  return fault.code === 'weights.hash' || fault.code === 'weights.size';
}

/** The message must say which file it is about. */
function named(fault: Fault, file: FileEntry): Fault {
  return fault.detail.includes(file.name) || fault.code === 'cancelled' ? fault : new Fault(fault.code, `${file.name}: ${fault.detail}`);
}
