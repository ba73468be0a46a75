/**
 * Makes a session from this package's own files: the worker is one ES file, and the wasm URL is resolved here and posted to it.
 *
 * This form (not "the worker finds its own wasm") is the one that most bundlers get right. No side effect on import.
 */
import wasmUrl from '#pkg/facext_bg.wasm?url';
import { Session } from './session';

export interface EngineOptions {
  /** Directory of the weights, relative to the page. */
  weightsBase?: string;
  /** `auto`, `cpu` or `gpu`. */
  device?: string;
}

export function createSession(options: EngineOptions = {}): Session {
  const base = new URL(options.weightsBase || './weights/', document.baseURI);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return new Session({
    spawn: () => new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'facext' }),
    wasmUrl: new URL(wasmUrl, document.baseURI).href,
    weightsBase: base.href,
    device: options.device || 'auto',
  });
}
