/**
 * Fetching one file of the weights: streamed, resumable by HTTP Range, cancellable, bounded in its patience.
 *
 * A cut connection is normal on a phone, so the file goes on where it stopped: the bytes of an earlier attempt are kept and only the
 * rest is asked for. A server that ignores Range (status 200) or refuses it (416) makes the file start again.
 */
import { Fault, throwIfAborted } from './fault';
import type { FileEntry } from './protocol';
import type { Part } from './store';

/** Attempts in a row that may bring no new byte before giving up. */
const BARREN_ATTEMPTS = 3;
const FIRST_DELAY_MS = 300;

export interface DownloadHooks {
  signal: AbortSignal;
  /** `received` bytes of this file are here, `fetched` of them just now over the network. */
  onBytes(received: number, fetched: number): void;
  /** Storage gave up; the download goes on in memory. */
  onStorageFull(): void;
}

/** Returns exactly `file.bytes` bytes, not yet verified. */
export async function download(url: string, file: FileEntry, part: Part, hooks: DownloadHooks): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.bytes);
  bytes.set(part.resumed);
  let received = part.resumed.byteLength;
  let best = received;
  let barren = 0;
  let last = new Fault('download.failed', file.name);

  while (received < file.bytes) {
    throwIfAborted(hooks.signal);
    try {
      received = await attempt(url, file, part, hooks, bytes, received, (at) => (received = at));
      if (received < file.bytes) last = new Fault('weights.size', `${file.name}: ${received} of ${file.bytes} bytes`);
    } catch (thrown) {
      throwIfAborted(hooks.signal);
      // Answers that no patience will change: a missing file, a file that is too long.
      if (thrown instanceof Fault && !thrown.code.startsWith('download.')) throw thrown;
      last = thrown instanceof Fault ? thrown : new Fault('download.failed', `${file.name}: ${String(thrown)}`);
    }
    if (received >= file.bytes) break;
    barren = received > best ? 0 : barren + 1;
    best = Math.max(best, received);
    if (barren >= BARREN_ATTEMPTS) throw last;
    await pause(FIRST_DELAY_MS * 2 ** barren, hooks.signal);
  }
  return bytes;
}

/** One request. Returns how far the file has come; `keep` is told after each chunk, so that an exception loses nothing. */
async function attempt(
  url: string,
  file: FileEntry,
  part: Part,
  hooks: DownloadHooks,
  bytes: Uint8Array,
  from: number,
  keep: (at: number) => void,
): Promise<number> {
  const headers: Record<string, string> = from > 0 ? { Range: `bytes=${from}-` } : {};
  // The name carries the hash, and the store is ours: the HTTP cache would only hold a second copy.
  const answer = await fetch(url, { headers, signal: hooks.signal, cache: 'no-store', credentials: 'same-origin' });
  if (answer.status === 404 || answer.status === 410 || answer.status === 403) {
    await answer.body?.cancel();
    throw new Fault('weights.missing_shard', file.name);
  }
  if (answer.status === 416) {
    await answer.body?.cancel();
    part.restart();
    keep(0);
    return 0;
  }
  if (!answer.ok || !answer.body) {
    await answer.body?.cancel();
    throw new Fault('download.failed', `${file.name}: status ${answer.status}`);
  }

  let at = from;
  if (from > 0 && !continues(answer, from)) {
    part.restart();
    at = 0;
    keep(0);
  }
  let storing = true;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return at;
    if (at + value.byteLength > file.bytes) {
      await reader.cancel();
      part.restart();
      throw new Fault('weights.size', `${file.name}: more than ${file.bytes} bytes`);
    }
    bytes.set(value, at);
    if (storing && !part.append(value)) {
      storing = false;
      hooks.onStorageFull();
    }
    at += value.byteLength;
    keep(at);
    hooks.onBytes(at, value.byteLength);
  }
}

/** Whether a 206 goes on exactly where we stopped. */
function continues(answer: Response, from: number): boolean {
  return answer.status === 206 && (answer.headers.get('content-range') ?? '').startsWith(`bytes ${from}-`);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new Fault('cancelled'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}
