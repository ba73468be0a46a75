// Vite plug-in: makes the page installable. Icons and web app manifest are written beside it, then the service worker with the
// list of everything that was built.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { injectManifest } from 'workbox-build';
import { icon } from './icon.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));

const MANIFEST = {
  name: 'facext: check a photo of a face',
  short_name: 'facext',
  description: 'Checks a photo of a face for traces of manipulation, inside your browser.',
  id: './',
  start_url: './',
  scope: './',
  display: 'standalone',
  background_color: '#eef1f5',
  theme_color: '#1f5f8b',
  categories: ['photo', 'utilities'],
  icons: [
    { src: './icon.svg', sizes: 'any', type: 'image/svg+xml' },
    { src: './icon-192.png', sizes: '192x192', type: 'image/png' },
    { src: './icon-512.png', sizes: '512x512', type: 'image/png' },
    { src: './icon-mask-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
  ],
  share_target: {
    action: './?share',
    method: 'POST',
    enctype: 'multipart/form-data',
    params: { files: [{ name: 'photo', accept: ['image/jpeg', 'image/png', 'image/webp', 'image/*'] }] },
  },
};

export function pwa(outDir) {
  return {
    name: 'facext-pwa',
    apply: 'build',
    async closeBundle() {
      writeFileSync(join(outDir, 'icon-192.png'), icon(192));
      writeFileSync(join(outDir, 'icon-512.png'), icon(512));
      writeFileSync(join(outDir, 'icon-180.png'), icon(180, { ground: true }));
      writeFileSync(join(outDir, 'icon-mask-512.png'), icon(512, { ground: true }));
      writeFileSync(join(outDir, 'manifest.webmanifest'), `${JSON.stringify(MANIFEST, null, 2)}\n`);
      const script = join(outDir, 'sw.js');
      await build({
        entryPoints: [join(here, 'sw.ts')],
        outfile: script,
        bundle: true,
        minify: true,
        format: 'iife',
        target: 'es2022',
        define: { 'process.env.NODE_ENV': '"production"' },
        logLevel: 'warning',
      });
      const { warnings } = await injectManifest({
        swSrc: script,
        swDest: script,
        globDirectory: outDir,
        // Not the weights: they have a place of their own.
        globPatterns: ['*.{html,svg,webmanifest}', 'icon-*.png', 'assets/**/*'],
        dontCacheBustURLsMatching: /^assets\//,
        maximumFileSizeToCacheInBytes: 64_000_000,
      });
      if (warnings.length) throw new Error(warnings.join('\n'));
    },
  };
}
