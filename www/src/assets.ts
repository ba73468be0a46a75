/**
 * Where the worker and the wasm files of the page are, as Vite names them. The npm package has a file of its own for this
 * (`assets-pack.ts`): bundlers of other people need other words for the same thing.
 */
import cpu from '#wasm-cpu?url';
import full from '#wasm?url';
import worker from './worker.ts?worker&url';
import type { AssetUrls } from './spawn';

/** Absolute URLs. The page's build fixes the names, so a base cannot change them. */
export function assetUrls(_base: string): AssetUrls {
  const absolute = (url: string) => new URL(url, document.baseURI).href;
  return { worker: absolute(worker), wasm: { full: absolute(full), cpu: absolute(cpu) } };
}
