/**
 * One error class for the page and its worker: a stable code plus a detail, whatever was thrown.
 *
 * The engine throws plain `{ code, detail }` objects; a wasm panic arrives as a `WebAssembly.RuntimeError`; browsers throw
 * `DOMException`s. Everything is brought to a code here, once; `words.ts` turns codes into sentences.
 */
import type { Problem } from './protocol';

export class Fault extends Error {
  readonly code: string;
  readonly detail: string;

  constructor(code: string, detail = '') {
    super(detail ? `${code}: ${detail}` : code);
    this.name = 'Fault';
    this.code = code;
    this.detail = detail;
  }

  /** The form that crosses `postMessage`. */
  get problem(): Problem {
    return { code: this.code, detail: this.detail };
  }
}

/** Codes after which the worker cannot be trusted any more and is replaced. */
export function isFatal(code: string): boolean {
  return code === 'worker.crashed' || code === 'device.lost';
}

export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  // A trap ("unreachable") leaves the wasm memory in an unknown state.
  if (thrown instanceof WebAssembly.RuntimeError) return new Fault('worker.crashed', thrown.message);
  if (thrown instanceof DOMException && thrown.name === 'AbortError') return new Fault('cancelled');
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string') {
    const detail = 'detail' in thrown ? thrown.detail : 'message' in thrown ? thrown.message : '';
    return new Fault(thrown.code, String(detail ?? ''));
  }
  if (thrown instanceof Error) return new Fault('unknown', thrown.message);
  return new Fault('unknown', String(thrown));
}

/** Throws `cancelled` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new Fault('cancelled');
}
