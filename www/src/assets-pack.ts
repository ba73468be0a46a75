/**
 * Where the worker and the wasm files of the npm package are: beside this module, under fixed names.
 *
 * `new URL('./name', import.meta.url)` is the form that Vite, webpack and Rollup (with its plug-in for such URLs) see and copy
 * the file for. The worker is one self-contained file, so that a plain copy of it works. What sees nothing (esbuild) needs a copy
 * step and `asset-base`. Nothing is evaluated on import: there may be no `import.meta.url` (old formats) and no page (Node).
 */
import type { AssetUrls } from './spawn';

/** Absolute URLs: in the directory `base` where one is named, else beside this module. */
export function assetUrls(base: string): AssetUrls {
  if (base) {
    const named = (name: string) => new URL(name, base).href;
    return { worker: named('worker.js'), wasm: { full: named('facext_bg.wasm.gz'), cpu: named('facext_cpu.wasm.gz') } };
  }
  return {
    worker: new URL('./worker.js', import.meta.url).href,
    wasm: { full: new URL('./facext_bg.wasm.gz', import.meta.url).href, cpu: new URL('./facext_cpu.wasm.gz', import.meta.url).href },
  };
}
