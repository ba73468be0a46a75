/**
 * Where the worker and the wasm file of the npm package are: beside this module, under fixed names.
 *
 * `new URL('./name', import.meta.url)` is the form that Vite, webpack and Rollup (with its plug-in for such URLs) see and copy
 * the file for. The worker is one self-contained file, so that a plain copy of it works. What sees nothing (esbuild) needs a copy
 * step and `asset-base`. Nothing is evaluated on import: there may be no `import.meta.url` (old formats) and no page (Node).
 */
import type { AssetUrls } from './spawn';

/** Absolute URLs: in the directory `base` where one is named, else beside this module. */
export function assetUrls(base: string): AssetUrls {
  if (base) return { worker: new URL('worker.js', base).href, wasm: new URL('facext_bg.wasm.gz', base).href };
  return { worker: new URL('./worker.js', import.meta.url).href, wasm: new URL('./facext_bg.wasm.gz', import.meta.url).href };
}
