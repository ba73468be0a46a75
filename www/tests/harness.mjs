// What the browser tests share: a build with the fake engine, small weights, a server that can misbehave and logs all, and a browser.
//
// The server is also the browser's HTTP proxy, so every request of the page to any host is seen and counted, not only those to us.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync, crc32 } from 'node:zlib';
import { chromium } from 'playwright-core';
import { handler, ISOLATED } from '../serve.mjs';

export const WWW = fileURLToPath(new URL('..', import.meta.url));
/** Not in git: the built fake page and screenshots. */
export const OUT = process.env.FACEXT_TEST_OUT ?? join(WWW, 'tests/.out');
export const CHROMIUM = process.env.FACEXT_CHROMIUM ?? '/usr/bin/chromium';
export const FLAGS = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** What this browser asks of its maker on its own, whatever page is open. A page's request to them would be seen by Playwright. */
const BROWSERS_OWN = /(^|\.)(google|googleapis|gvt1|gstatic)\.com$/;

let built;
/** Builds the page around the fake engine, once for each test process. */
export function fakeDist() {
  if (!built) {
    built = join(OUT, 'fake-dist');
    const env = { ...process.env, FACEXT_PKG: join(WWW, 'tests/fake-pkg'), FACEXT_DIST: built };
    execFileSync(process.execPath, [join(WWW, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'error'], { cwd: WWW, env, stdio: 'inherit' });
  }
  return built;
}

/** Bytes that look random but are the same in each run. */
export function noise(length, seed) {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** A manifest and its files: three small shards and a config. `fake` steers the fake engine. */
export function fakeWeights(fake = {}, shardBytes = 300_000) {
  const files = new Map([['config.json', Buffer.from('{"preset":"fake"}')]]);
  for (const i of [1, 2, 3]) files.set(`shard-${i}.safetensors`, noise(shardBytes, i));
  const list = [...files].map(([name, data]) => ({ name, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') }));
  return { manifest: JSON.stringify({ files: list, fake }), files };
}

/**
 * Serves the fake page, or the real one at `root` (then nothing is faked). `faults` may be changed while it runs:
 *   cut: { name: bytes }  the connection breaks after that many bytes, once
 *   stall: { name: bytes } nothing more comes after that many bytes, until the entry is deleted
 *   missing: Set of names  404
 *   flip: { name: times }  one bit is wrong, in that many answers
 *   slow: milliseconds     pause before each 32 kB of a weights file
 *   dead: true             every connection for a weights file breaks at once
 *   noRange: true          Range is ignored
 * `prelude` is script put at the head of the worker, to take a browser feature away from it. `isolated` pages may share memory.
 */
export async function startServer({ fake = {}, base = '/', shardBytes, prelude, root, isolated } = {}) {
  const weights = fakeWeights(fake, shardBytes);
  const pages = handler({ root: root ?? fakeDist(), base, isolated });
  const log = [];
  const faults = { cut: {}, stall: {}, missing: new Set(), flip: {}, slow: 0, dead: false, noRange: false };
  const server = createServer(async (request, response) => {
    // In absolute form when we act as the proxy.
    const url = new URL(request.url, `http://${request.headers.host}`);
    const entry = { url: url.href, path: url.pathname, range: request.headers.range ?? null, sent: 0, status: 0 };
    if (BROWSERS_OWN.test(url.hostname)) return response.writeHead(502).end();
    log.push(entry);
    // Files that the static server sends are counted by their header, which Node does not give back once it is written; ours chunk by chunk.
    let announced = 0;
    const writeHead = response.writeHead.bind(response);
    response.writeHead = (status, ...rest) => {
      announced = Number(rest.at(-1)?.['content-length'] ?? 0);
      return writeHead(status, ...rest);
    };
    response.on('close', () => {
      entry.status = response.statusCode;
      if (entry.sent === 0) entry.sent = announced;
    });
    if (url.port !== String(server.address().port)) return response.writeHead(502).end();
    request.url = url.pathname + url.search;
    if (prelude && /\/worker-[^/]*\.js$/.test(url.pathname)) {
      const script = readFileSync(join(root ?? fakeDist(), url.pathname.slice(base.length)), 'utf8');
      return response.writeHead(200, { 'content-type': 'text/javascript', ...(isolated ? ISOLATED : {}) }).end(`${prelude}\n${script}`);
    }
    const name = !root && url.pathname.startsWith(`${base}weights/`) ? url.pathname.slice(`${base}weights/`.length) : null;
    if (name === null) return pages(request, response);
    if (name === 'manifest.json') return response.writeHead(200, { 'content-type': 'application/json' }).end(weights.manifest);
    await sendFile(name, entry, request, response);
  });
  server.on('connect', (request, socket) => {
    socket.on('error', () => {});
    if (!BROWSERS_OWN.test(request.url.split(':')[0])) log.push({ url: `https://${request.url}/`, path: null, range: null, sent: 0, status: 403 });
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });

  async function sendFile(name, entry, request, response) {
    if (faults.dead) return response.destroy();
    let data = weights.files.get(name);
    if (!data || faults.missing.has(name)) return response.writeHead(404).end('no such file');
    if (faults.flip[name] > 0) {
      faults.flip[name]--;
      data = Buffer.from(data);
      data[1000] ^= 4;
    }
    const match = faults.noRange ? null : /^bytes=(\d+)-$/.exec(entry.range ?? '');
    const from = match ? Number(match[1]) : 0;
    if (from >= data.length) return response.writeHead(416).end();
    response.writeHead(match ? 206 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': data.length - from,
      ...(match ? { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` } : {}),
    });
    const cut = faults.cut[name];
    for (let at = from; at < data.length; ) {
      while (at === faults.stall[name] && !response.destroyed) await new Promise((done) => setTimeout(done, 20));
      const stall = faults.stall[name];
      const end = Math.min(at + 32768, data.length, cut > at ? cut : Infinity, stall > at ? stall : Infinity);
      if (faults.slow) await new Promise((done) => setTimeout(done, faults.slow));
      if (response.destroyed) return;
      await new Promise((done) => response.write(data.subarray(at, end), done));
      entry.sent += end - at;
      at = end;
      if (at === cut) {
        delete faults.cut[name];
        // Let the bytes leave before the line goes dead.
        await new Promise((done) => setTimeout(done, 60));
        return response.destroy();
      }
    }
    response.end();
  }

  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const port = server.address().port;
  return {
    url: `http://127.0.0.1:${port}${base}`,
    port,
    log,
    faults,
    weights,
    /** Requests for weights files, without the manifest. */
    weightsLog: () => log.filter((e) => e.path?.includes('/weights/') && !e.path.endsWith('manifest.json')),
    close: () => (server.closeAllConnections(), new Promise((done) => server.close(done))),
  };
}

/** A fresh browser whose profile lives as long as it does; all traffic goes through `server`. */
export async function startBrowser(server, { args = [], ...options } = {}) {
  if (!existsSync(CHROMIUM)) throw new Error(`no Chromium at ${CHROMIUM}; set FACEXT_CHROMIUM`);
  const profile = mkdtempSync(join(tmpdir(), 'facext-profile-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: [...FLAGS, ...args],
    viewport: { width: 1280, height: 900 },
    // Its requests would mix with those of the page; the tests that are about it let it in.
    serviceWorkers: 'block',
    ...(server ? { proxy: { server: `http://127.0.0.1:${server.port}`, bypass: '<-loopback>' } } : {}),
    ...options,
  });
  // Generous: a shared machine with two cores may be busy with other builds.
  context.setDefaultTimeout(60_000);
  const trouble = [];
  const watch = (page) => {
    page.on('console', (m) => /Content.Security.Policy|TrustedScript|TrustedHTML|TrustedType/i.test(m.text()) && trouble.push(m.text()));
    page.on('pageerror', (e) => trouble.push(String(e)));
  };
  context.pages().forEach(watch);
  context.on('page', watch);
  return {
    context,
    /** Policy violations and uncaught errors of all pages so far. */
    trouble,
    page: async (url) => {
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** One test's own server, browser and page; everything is closed at its end. */
export async function scene(t, { server: serverOptions, browser: browserOptions, query = '' } = {}) {
  const server = await startServer(serverOptions);
  const browser = await startBrowser(server, browserOptions);
  t.after(async () => {
    await browser.close();
    await server.close();
  });
  const page = await browser.page(server.url + query);
  // The element comes with its language, after the page's `load`.
  await page.waitForFunction(() => !document.querySelector('facext-analyzer') || document.querySelector('facext-analyzer').shadowRoot?.querySelector('button'));
  return { server, browser, page, at: (name) => page.locator(`[data-test="${name}"]`) };
}

/** Downloads the model and waits until it is ready. */
export async function ready(page) {
  await page.locator('[data-test="download"]').click();
  await modelReady(page);
}

/** Waits until the model can answer. That its card is gone is also true of a page that has not begun; its device is told only later. */
export async function modelReady(view) {
  await view.locator('[data-test="device"]').waitFor({ state: 'attached' });
  await view.locator('[part="model"]').waitFor({ state: 'detached' });
}

/** Chooses a photo as a person would. */
export async function choose(page, photo, name = 'face.png', mimeType = 'image/png') {
  await page.locator('input[type=file]').setInputFiles({ name, mimeType, buffer: photo });
}

/** Waits for the newest answer to be complete. */
export async function answered(page) {
  await page.locator('[data-test="result"][data-state="done"]').first().waitFor();
}

/** A scene in which the model was asked about a photo and has answered. */
export async function answeredScene(t, photo, options) {
  const all = await scene(t, options);
  await ready(all.page);
  await choose(all.page, photo);
  await answered(all.page);
  return all;
}

/** A drawn face as PNG: for layout and coordinates, not for a model. */
export function drawnFace(width = 640, height = 480) {
  const rows = Buffer.alloc(height * (1 + width * 3));
  const inside = (x, y, cx, cy, rx, ry) => ((x - cx * width) / (rx * width)) ** 2 + ((y - cy * height) / (ry * height)) ** 2 <= 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let colour = [70 + (y * 60) / height, 95 + (y * 50) / height, 120 + (y * 40) / height];
      if (inside(x, y, 0.5, 0.46, 0.22, 0.4)) colour = [58, 42, 36];
      if (inside(x, y, 0.5, 0.52, 0.19, 0.33)) colour = [224 - (x * 40) / width, 178 - (x * 30) / width, 150 - (x * 20) / width];
      for (const side of [0.42, 0.58]) {
        if (inside(x, y, side, 0.39, 0.055, 0.018)) colour = [74, 52, 42];
        if (inside(x, y, side, 0.46, 0.04, 0.028)) colour = [245, 245, 242];
        if (inside(x, y, side, 0.46, 0.016, 0.024)) colour = [60, 80, 90];
      }
      if (inside(x, y, 0.5, 0.57, 0.025, 0.04)) colour = [205, 150, 125];
      if (inside(x, y, 0.5, 0.67, 0.08, 0.03)) colour = [176, 84, 84];
      rows.set(colour.map(Math.round), y * (1 + width * 3) + 1 + x * 3);
    }
  }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

mkdirSync(OUT, { recursive: true });
