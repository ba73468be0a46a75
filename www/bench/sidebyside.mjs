// The synthetic models in one Chromium, ours and the peer's in turns: decode, prefill, encode, two threads, software WebGPU.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { ISOLATED } from '../serve.mjs';
import { startBrowser } from '../tests/harness.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const TYPES = { '.html': 'text/html', '.mjs': 'text/javascript', '.js': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' };

/** The flags that give Chromium its software GPU. */
const SOFTWARE_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/**
 * How far an engine may be from the truth, ‖a − b‖ / ‖b‖. Floats differ by the order of sums, and may be rounded to 16 bits on the way;
 * with 4-bit weights an engine may quantise activations to 8 bits, which costs it some percent; the peer's int8 takes one scale for all
 * activations of a layer. What lies beyond is shown, and counts in no ratio.
 */
export const TOLERANCE = { fp32: 1e-3, q4: 0.05, q8: 0.2 };

const all = (backend, threads, ...list) => list.map(([engine, precision, form]) => ({ engine, precision, form, backend, threads }));
const OURS = [['facext', 'q4'], ['facext', 'q8'], ['facext', 'fp32']];
const PEERS = [['ort', 'q4', 'plain'], ['ort', 'q8', 'plain'], ['ort', 'fp32', 'plain']];
const FUSED = [['ort', 'q4', 'fused'], ['ort', 'fp32', 'fused']];

/** What each part runs. */
export const PARTS = {
  decode: { work: 'decode', rounds: 5, seconds: 0.5, least: 4, contestants: all('wasm', 1, ...OURS, ...PEERS, ...FUSED) },
  prefill: { work: 'prefill', rounds: 3, seconds: 0.5, least: 1, contestants: all('wasm', 1, ...OURS, ...PEERS) },
  encode: { work: 'encode', rounds: 3, seconds: 0.5, least: 1, contestants: all('wasm', 1, ...OURS, ...PEERS) },
  threads: ['decode', 'prefill', 'encode'].map((work) => ({ work, rounds: 3, seconds: 0.5, least: 1, contestants: all('wasm', 2, ...OURS, ...PEERS, ...(work === 'decode' ? FUSED : [])) })),
  webgpu: { work: 'decode', rounds: 2, seconds: 0, least: 2, contestants: all('webgpu', 1, ['facext', 'q4'], ['ort', 'q4', 'fused'], ['ort', 'fp32', 'fused'], ['ort', 'fp32', 'plain']) },
};

/** The product's own scripts for several threads. */
async function threadScripts() {
  const bundle = async (contents) => {
    const made = await build({ stdin: { contents, resolveDir: join(HERE, '../src'), loader: 'ts' }, bundle: true, format: 'esm', write: false, logLevel: 'error' });
    return made.outputFiles[0].text;
  };
  return { '/threads.js': await bundle("export * from './shared-memory';"), '/helper.js': await bundle("import { help } from './helper'; addEventListener('message', ({ data }) => help(data));") };
}

/** Models, peer, engine and page under one origin, isolated where threads are wanted. */
async function serve({ models, engine, ort }, isolated) {
  const folders = { models, engine, ort };
  const scripts = isolated ? await threadScripts() : {};
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
    const script = scripts[path];
    if (script) return response.writeHead(200, { 'content-type': 'text/javascript', ...ISOLATED }).end(script);
    const [, folder, name] = /^\/(\w+)\/([\w.-]+)$/.exec(path) ?? [];
    const file = folder ? folders[folder] && join(folders[folder], name) : join(HERE, path === '/' ? 'page.html' : path.slice(1).replaceAll('/', ''));
    if (!file || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-length': statSync(file).size,
      'cache-control': 'no-store',
      ...(isolated ? ISOLATED : {}),
    });
    createReadStream(file).pipe(response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => (server.closeAllConnections(), new Promise((done) => server.close(done))) };
}

/** Runs one part, gives its rows. */
export async function sideBySide(part, folders, log) {
  const rows = [];
  for (const plan of [PARTS[part]].flat()) {
    const isolated = plan.contestants[0].threads > 1;
    const server = await serve(folders, isolated);
    const browser = await startBrowser(null, { args: plan.contestants[0].backend === 'webgpu' ? SOFTWARE_GPU : [] });
    try {
      const page = await browser.context.newPage();
      page.setDefaultTimeout(0);
      page.on('console', (m) => m.text().startsWith('bench: ') && log(m.text().slice(7)));
      await page.goto(server.url);
      await page.waitForFunction('window.ready');
      const { isolated: is, entries } = await page.evaluate((plan) => window.bench(plan), plan);
      if (is !== isolated) throw new Error('the page is not isolated as it should be');
      rows.push(...rate(plan, entries));
    } finally {
      await browser.close();
      await server.close();
    }
  }
  return rows;
}

/** Milliseconds → rows, each against the best of the peer's at the same work, backend and threads. */
function rate(plan, entries) {
  const rows = entries.map((e) => {
    const ms = e.ms.toSorted((a, b) => a - b);
    const row = {
      work: plan.work === 'encode' ? 'encode-256' : plan.work === 'prefill' ? 'prefill-256' : 'decode-at-256',
      engine: `${e.engine === 'ort' ? 'onnxruntime-web' : e.engine} ${e.precision}${e.form === 'fused' ? ' fused' : ''}`,
      backend: e.backend === 'webgpu' ? 'webgpu (software)' : e.backend,
      threads: e.threads,
      min_ms: e.failed ? null : ms[0],
      median_ms: e.failed ? null : ms[ms.length >> 1],
      runs: ms.length,
      error: e.error ?? null,
    };
    if (e.failed) row.note = e.failed;
    else if (!(e.error <= TOLERANCE[e.precision])) row.note = `differs from the truth by ${e.error}`;
    return row;
  });
  const best = Math.min(...rows.filter((r) => r.engine.startsWith('onnx') && r.min_ms && !r.note).map((r) => r.min_ms));
  for (const row of rows) row.ratio_to_peer = row.min_ms && !row.note && Number.isFinite(best) ? row.min_ms / best : null;
  return rows;
}
