/**
 * Where the worker and the wasm file of the page are, as Vite names them. The npm package has a file of its own for this
 * (`assets-pack.ts`): bundlers of other people need other words for the same thing.
 */
import wasm from '#wasm?url';
import worker from './worker.ts?worker&url';
import type { AssetUrls } from './spawn';

/** Absolute URLs. The page's build fixes both names, so a base cannot change them. */
export function assetUrls(_base: string): AssetUrls {
  return { worker: new URL(worker, document.baseURI).href, wasm: new URL(wasm, document.baseURI).href };
}
