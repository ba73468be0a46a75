// The shipped page with the shipped weights: a whole report by stage, first text, a second visit, memory, what a visitor downloads.
//
// What a person waits for is taken from the messages between page and worker, so no change of the page's looks can move it. Memory is the
// size of the wasm heap, which never shrinks and so holds its own peak.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { ready, startBrowser, startServer } from '../tests/harness.mjs';

const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

/** In the page: when which message went to a worker or came from one, in milliseconds since the page's navigation began. */
const WATCH = `(() => {
  const Plain = Worker;
  const log = (window.messages = []);
  window.Worker = class extends Plain {
    constructor(...args) {
      super(...args);
      const sent = new Map();
      this.addEventListener('message', ({ data }) => {
        const what = data.type === 'event' ? data.event.type : data.type;
        if (what !== 'progress') log.push({ at: performance.now(), what, of: sent.get(data.id), report: data.type === 'done' && sent.get(data.id) === 'analyze' ? data.value : undefined });
      });
      const post = this.postMessage.bind(this);
      this.postMessage = (message, ...rest) => {
        sent.set(message.id, message.type);
        log.push({ at: performance.now(), what: 'call', of: message.type });
        post(message, ...rest);
      };
    }
  };
})();`;

/** In the worker: a handle on the wasm heap, whichever way the module is instantiated. */
const HEAP = `(() => {
  const plain = WebAssembly.instantiate;
  WebAssembly.instantiate = async (...args) => {
    const made = await plain.apply(WebAssembly, args);
    self.wasmHeap = (made.instance ?? made).exports.memory;
    return made;
  };
})();`;

const spread = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  return { min: sorted[0], median: sorted[sorted.length >> 1] };
};
const row = (work, values, more = {}) => {
  const { min, median } = spread(values);
  return { work, engine: 'facext base', backend: 'wasm', threads: 1, min_ms: min, median_ms: median, ratio_to_peer: null, runs: values.length, ...more };
};
const amount = (work, value, unit, more = {}) => ({ work, engine: 'facext', backend: 'wasm', threads: 1, min_ms: null, median_ms: null, ratio_to_peer: null, value, unit, ...more });

/** A page whose messages are watched, and its worker's heap. */
async function open(dist, query, options = {}) {
  const server = await startServer({ root: dist, prelude: HEAP });
  const browser = await startBrowser(server, { serviceWorkers: 'allow', ...options });
  browser.context.setDefaultTimeout(600_000);
  await browser.context.addInitScript(WATCH);
  const visit = () => browser.page(server.url + query);
  return { server, browser, visit, close: async () => (await browser.close(), await server.close()) };
}

/** MiB of the largest wasm heap among the page's workers. */
async function heapMiB(page) {
  const sizes = await Promise.all(page.workers().map((w) => w.evaluate('self.wasmHeap?.buffer.byteLength ?? 0').catch(() => 0)));
  return Math.max(0, ...sizes) / (1 << 20);
}

/** Asks about a photo, gives the report and the moments of its making. The bytes differ each time: the page keeps answers that it knows. */
async function ask(page, photo, nth) {
  const before = await page.evaluate('messages.length');
  const buffer = Buffer.concat([readFileSync(photo), Buffer.alloc(nth)]);
  await page.locator('input[type=file]').setInputFiles({ name: `${nth}-${basename(photo)}`, mimeType: 'image/png', buffer });
  const done = await page.waitForFunction((from) => messages.slice(from).find((m) => m.of === 'analyze' && (m.what === 'done' || m.what === 'error')), before, { polling: 50 });
  const last = await done.jsonValue();
  // A handle would keep the report alive in the page.
  await done.dispose();
  if (last.what === 'error') throw new Error('the analysis failed');
  const moments = (await page.evaluate('messages')).slice(before);
  const start = moments.find((m) => m.what === 'call' && m.of === 'open')?.at;
  const text = moments.find((m) => m.what === 'text' || m.what === 'phrase')?.at;
  if (start === undefined || last.report.file.bytes !== buffer.length) throw new Error('this is the report of another photo');
  return { report: last.report, total: last.at - start, first: text === undefined ? null : text - start };
}

/** The whole report, `runs` photos after each other, and the heap's size on the way. */
export async function base(dist, photo, log, runs = 3) {
  const scene = await open(dist, '?device=cpu');
  try {
    const page = await scene.visit();
    const begun = performance.now();
    await ready(page);
    log(`first visit: model ready after ${Math.round(performance.now() - begun)} ms, ${(scene.server.log.reduce((n, e) => n + e.sent, 0) / 1e6).toFixed(1)} MB`);
    const loaded = await heapMiB(page);
    const all = [];
    for (let i = 0; i < runs; i++) all.push(await ask(page, photo, i));
    const stages = {};
    for (const { report } of all) for (const [name, ms] of Object.entries(report.timings_ms)) (stages[name] ??= []).push(ms);
    const tokens = stages.tokens[0];
    delete stages.tokens;
    const rows = [
      row('base: first text after the photo', all.map((a) => a.first)),
      row('base: whole report', all.map((a) => a.total), { note: `${tokens} tokens` }),
      row('base: a token', stages.generate.map((ms) => ms / tokens)),
      ...Object.entries(stages).filter(([name]) => name !== 'total').map(([name, ms]) => row(`base: stage ${name}`, ms)),
      amount('base: wasm heap, model loaded', loaded, 'MiB'),
      amount('base: wasm heap, peak', await heapMiB(page), 'MiB'),
    ];
    const peak = rendererMiB();
    if (peak) rows.push(amount('base: renderer process, peak resident', peak, 'MiB'));
    return rows;
  } finally {
    await scene.close();
  }
}

/** A second visit: everything is stored; from the navigation to a model that can be asked. */
export async function warm(dist, log, runs = 4) {
  const scene = await open(dist, '?device=cpu');
  try {
    const first = await scene.visit();
    await ready(first);
    // The service worker puts its files away meanwhile.
    await first.waitForTimeout(3000);
    await first.close();
    const [times, parts] = [[], { compile: [], load: [] }];
    for (let i = 0; i < runs; i++) {
      const page = await scene.visit();
      const done = await page.waitForFunction(() => messages.find((m) => m.of === 'load' && m.what === 'done'), undefined, { polling: 20 });
      times.push((await done.jsonValue()).at);
      const all = await page.evaluate('messages');
      const at = (what, of) => all.find((m) => m.what === what && m.of === of).at;
      parts.compile.push(at('done', 'prepare') - at('call', 'prepare'));
      parts.load.push(at('done', 'load') - at('call', 'load'));
      await page.close();
    }
    log(`second visits: ${times.map(Math.round).join(', ')} ms`);
    return [
      row('second visit: page to ready', times),
      row('second visit: of it, wasm and list of weights', parts.compile),
      row('second visit: of it, weights read, verified, built', parts.load),
    ];
  } finally {
    await scene.close();
  }
}

/** Growth of the JavaScript heaps of page and worker over many analyses, with the tiny weights. */
export async function heap(dist, photo, log, analyses = 100) {
  if (!existsSync(join(dist, 'weights-tiny/manifest.json'))) throw new Error('no tiny weights in the built page');
  const scene = await open(dist, '?device=cpu&weights=./weights-tiny/');
  try {
    const page = await scene.visit();
    await ready(page);
    const used = await heapProbe(scene.browser.context, page);
    // The page keeps the answers of its last photos; what it keeps must not grow once that is full.
    const warmUp = 15;
    for (let i = 0; i < warmUp; i++) await ask(page, photo, i);
    // The first look into a worker leaves the looker's own script and shapes in it, 73 KiB: so nothing of a first look counts.
    await heapMiB(page);
    await used();
    const before = await used();
    const wasmBefore = await heapMiB(page);
    for (let i = 0; i < analyses; i++) {
      await ask(page, photo, warmUp + i);
      // What this script itself notes must not count.
      await page.evaluate('messages.length = 0');
    }
    const after = await used();
    log(`JavaScript heaps: ${JSON.stringify(before)} → ${JSON.stringify(after)}`);
    const kib = (now, then) => Math.round((now - then) / 1024);
    const note = `over ${analyses} analyses, after ${warmUp} to fill what the page keeps`;
    return [
      amount('growth of the page\'s JavaScript heap', kib(after.page, before.page), 'KiB', { note }),
      amount('growth of the worker\'s JavaScript heap', kib(after.worker, before.worker), 'KiB', { note }),
      amount('growth of the wasm heap', Math.round(1024 * ((await heapMiB(page)) - wasmBefore)), 'KiB', { note }),
    ];
  } finally {
    await scene.close();
  }
}

/**
 * A function that gives the bytes of all that lives in the JavaScript heaps, array buffers included: `{page, worker}`. From a snapshot, which
 * collects garbage first: the browser's own counters also hold what it has not freed yet. Workers are reached through the page's debugger.
 */
async function heapProbe(context, page) {
  const session = await context.newCDPSession(page);
  const workers = new Map();
  const waiting = new Map();
  let next = 1;
  session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => targetInfo.type === 'worker' && workers.set(sessionId, []));
  session.on('Target.detachedFromTarget', ({ sessionId }) => workers.delete(sessionId));
  session.on('Target.receivedMessageFromTarget', ({ sessionId, message }) => {
    const { id, method, params } = JSON.parse(message);
    if (method === 'HeapProfiler.addHeapSnapshotChunk') workers.get(sessionId)?.push(params.chunk);
    waiting.get(id)?.();
    waiting.delete(id);
  });
  await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const inWorker = async (sessionId, method) => {
    const id = next++;
    const answer = new Promise((done) => waiting.set(id, done));
    await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method, params: {} }) });
    await answer;
    return workers.get(sessionId)?.splice(0) ?? [];
  };
  let chunks = [];
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => chunks.push(chunk));
  return async () => {
    chunks = [];
    await session.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
    const bytes = { page: bytesIn(chunks), worker: 0 };
    if (workers.size === 0) throw new Error('the worker cannot be reached');
    for (const id of workers.keys()) bytes.worker += bytesIn(await inWorker(id, 'HeapProfiler.takeHeapSnapshot'));
    return bytes;
  };
}

/**
 * Sum of the sizes of a snapshot's nodes, without the wasm heap (measured apart) and without compiled code, of JavaScript and of wasm: functions
 * are compiled again, better, while they run.
 */
function bytesIn(chunks) {
  const { snapshot, nodes, strings } = JSON.parse(chunks.join(''));
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [type, name, size] = [fields.indexOf('type'), fields.indexOf('name'), fields.indexOf('self_size')];
  const code = types[type].indexOf('code');
  let sum = 0;
  for (let at = 0; at < nodes.length; at += fields.length) {
    if (nodes[at + type] === code || nodes[at + size] >= 64 << 20 || strings[nodes[at + name]].includes('WasmNativeModule')) continue;
    sum += nodes[at + size];
  }
  return sum;
}

/** What a first visit downloads of code: the page's engine beside the peer's. Brotli at its best level, as a host would store it. */
export async function size(dist, ort, log, known = {}) {
  const files = [
    ['facext', 'wasm, CPU only', join(dist, 'assets'), /^facext_cpu\.wasm/],
    ['facext', 'wasm with WebGPU', join(dist, 'assets'), /^facext_bg\.wasm/],
    ['facext', 'JavaScript of page and worker', join(dist, 'assets'), /\.js$/],
    ['onnxruntime-web', 'wasm, CPU only', ort, /^ort-wasm-simd-threaded\.wasm$/],
    ['onnxruntime-web', 'wasm with WebGPU', ort, /^ort-wasm-simd-threaded\.asyncify\.wasm$/],
  ];
  const mb = (n) => Math.round(n / 1e4) / 100;
  // A minute for each of the large ones: all at once, and remembered by content.
  return Promise.all(files.map(async ([engine, what, folder, pattern]) => {
    let [raw, zipped, best] = [0, 0, 0];
    for (const name of readdirSync(folder).filter((n) => pattern.test(n))) {
      let data = readFileSync(join(folder, name));
      if (name.endsWith('.gz')) data = zlib.gunzipSync(data);
      const hash = createHash('sha256').update(data).digest('hex').slice(0, 16);
      const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_LGWIN]: 24, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: data.length };
      known[hash] ??= { gzip: (await gzip(data, { level: 9 })).length, brotli: (await brotli(data, { params })).length };
      raw += data.length;
      zipped += known[hash].gzip;
      best += known[hash].brotli;
    }
    if (raw === 0) throw new Error(`no ${what} of ${engine} in ${folder}`);
    log(`${engine} ${what}: ${raw} bytes, gzip ${zipped}, brotli ${best}`);
    return { ...amount(`download: ${what}`, mb(best), 'MB brotli', { note: `${mb(raw)} MB, gzip ${mb(zipped)} MB` }), engine };
  }));
}

/** Peak resident size of our browser's largest renderer process, MiB, from /proc; null where there is none. */
function rendererMiB() {
  let peak = null;
  if (!existsSync('/proc/self/stat')) return peak;
  const parent = (pid) => Number(/^.*\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))[1]);
  for (const pid of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) continue;
      // Another browser may run beside ours: ours descends from this process.
      let up = Number(pid);
      while (up > 1 && up !== process.pid) up = parent(up);
      if (up !== process.pid) continue;
      const line = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      if (line) peak = Math.max(peak ?? 0, Math.round(Number(line[1]) / 1024));
    } catch {
      // The process has ended meanwhile.
    }
  }
  return peak;
}
