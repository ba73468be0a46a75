// Build of the page: plain static files with relative URLs, to be served from any sub-path with no special headers.
//
// FACEXT_DIST  output directory (default ../dist)
// FACEXT_PKG   directory of the wasm-bindgen output (default ./pkg, and ./pkg-cpu; the tests put their fake engine here)
import { fileURLToPath } from 'node:url';
import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { defineConfig } from 'vite';
import { zippedWasm } from './pack/zip.mjs';
import { policy } from './policy.mjs';
import { pwa } from './sw/plugin.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const pkg = resolve(here, process.env.FACEXT_PKG ?? 'pkg');
// The tests' engine stands for both.
const pkgCpu = resolve(here, process.env.FACEXT_PKG ?? 'pkg-cpu');
const outDir = resolve(here, process.env.FACEXT_DIST ?? '../dist');

/** The README's example of embedding, for the page that shows it: one source for both, and for the test that runs it. */
const example = /## Embedding[\s\S]*?```html\n([\s\S]*?)```/.exec(readFileSync(resolve(here, '../README.md'), 'utf8'))?.[1] ?? '';

export default defineConfig({
  root: here,
  base: './',
  define: { README_EXAMPLE: JSON.stringify(example) },
  resolve: {
    alias: [
      { find: '#pkg-cpu', replacement: pkgCpu },
      { find: '#pkg', replacement: pkg },
      { find: '#assets', replacement: resolve(here, 'src/assets.ts') },
      { find: '#lazy', replacement: resolve(here, 'src/lazy.ts') },
      // With whatever query follows.
      { find: /^#wasm(?=\?|$)/, replacement: zippedWasm(pkg, 'facext_bg') },
      { find: /^#wasm-cpu(?=\?|$)/, replacement: zippedWasm(pkgCpu, 'facext_cpu') },
    ],
  },
  build: {
    outDir,
    rollupOptions: { input: [resolve(here, 'index.html'), resolve(here, 'embed.html')] },
    // build.sh puts weights/ beside the page: only what an earlier build wrote may go (see the plugin below).
    emptyOutDir: false,
    assetsDir: 'assets',
    // A wasm file inlined as data: would need a wider content security policy.
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: false,
    reportCompressedSize: true,
  },
  plugins: [policy(), { name: 'clear-assets', apply: 'build', buildStart: () => rmSync(resolve(outDir, 'assets'), { recursive: true, force: true }) }, pwa(outDir)],
  worker: { format: 'es' },
});
