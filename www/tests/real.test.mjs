// The built page with the real wasm and the real weights, in headless Chromium: the CPU path, and software WebGPU with the tiny weights.
//
//   FACEXT_DIST         built page (default ../dist), with weights/ and, for the second test, weights-tiny/
//   FACEXT_PHOTO        photo to analyse (default: astronaut.png of the set-up's samples)
//   FACEXT_REPORT       where to write the report of the CPU path
//   FACEXT_REPORT_TINY  where to write the report of the tiny weights on software WebGPU
//   FACEXT_REAL_TIMEOUT seconds an analysis may take (default 240)
//   FACEXT_BIN          native program; with FACEXT_WEIGHTS and FACEXT_TINY its reports are compared with the browser's
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { test } from 'node:test';
import { modelReady, OUT, startBrowser, startServer, WWW } from './harness.mjs';
import { reportProblems } from './schema.mjs';

const DIST = resolve(process.env.FACEXT_DIST ?? join(WWW, '../dist'));
const PHOTO = resolve(process.env.FACEXT_PHOTO ?? join(process.env.FACEXT_CACHE ?? join(homedir(), '.cache/facext'), 'samples/astronaut.png'));
const TIMEOUT = Number(process.env.FACEXT_REAL_TIMEOUT ?? 240) * 1000;

/** Why a test cannot run here; null when it can. */
function missing(weights) {
  if (!existsSync(join(DIST, 'index.html'))) return `no built page at FACEXT_DIST (${DIST})`;
  if (!existsSync(join(DIST, weights, 'manifest.json'))) return `no ${weights} in the built page`;
  if (!existsSync(PHOTO)) return `no photo at FACEXT_PHOTO (${PHOTO})`;
  return null;
}

function skip(t, why) {
  console.log(`skipped: ${why}`);
  t.skip(why);
}

test('the engine takes relaxed SIMD where the browser has it, and does without where not', async (t) => {
  const pkg = join(WWW, 'pkg');
  if (!existsSync(join(pkg, 'facext_bg.wasm'))) return skip(t, 'the wasm is not built');
  const server = await startServer({ root: pkg });
  const browser = await startBrowser(server);
  t.after(async () => {
    await browser.close();
    await server.close();
  });
  const kernels = async (without) => {
    const page = await browser.page(`${server.url}facext.js`);
    return page.evaluate(async (without) => {
      const module_or_path = await WebAssembly.compileStreaming(fetch('/facext_bg.wasm'));
      if (without) {
        WebAssembly.Module = class {
          constructor() {
            throw new WebAssembly.CompileError('invalid opcode');
          }
        };
      }
      const engine = await import('/facext.js');
      await engine.default({ module_or_path });
      return engine.kernels();
    }, without);
  };
  assert.equal(await kernels(false), 'relaxed-simd');
  assert.equal(await kernels(true), 'simd128');
});

/** Loads the page, analyses the photo, saves the report as a person would, and watches the network meanwhile. */
async function analyse(t, { query, args = [], out, photo = PHOTO, ...more }) {
  const server = await startServer({ root: DIST, ...more });
  const browser = await startBrowser(server, { args });
  t.after(async () => {
    await browser.close();
    await server.close();
  });
  const page = await browser.page(server.url + query);
  page.setDefaultTimeout(TIMEOUT);
  // No limit of its own: what is waited for has one, and its message says what was missing.
  const failed = page.locator('[data-test="problem"]').waitFor({ timeout: 0 }).then(async () => {
    throw new Error(`the page says: ${await page.locator('[data-test="problem"]').innerText()}`);
  });
  failed.catch(() => {});
  const orFail = (promise) => Promise.race([promise, failed]);

  const started = performance.now();
  await orFail(page.locator('[data-test="download"]').click());
  await orFail(modelReady(page));
  const loadMs = Math.round(performance.now() - started);
  await page.waitForTimeout(500);
  const firstLoad = server.log.reduce((sum, e) => sum + e.sent, 0);
  const device = await page.locator('[data-test="device"]').innerText();

  // One of the two engines: without WebGPU where the processor computes.
  const engines = server.log.map((e) => /facext_(bg|cpu)\.wasm/.exec(e.path ?? '')?.[1]).filter(Boolean);
  assert.deepEqual([...new Set(engines)], [/Graphics processor/.test(device) ? 'bg' : 'cpu']);

  const before = server.log.length;
  const asked = [];
  browser.context.on('request', (r) => !r.url().startsWith('blob:') && asked.push(r.url()));
  const begun = performance.now();
  await page.locator('input[type=file]').setInputFiles({ name: basename(photo), mimeType: 'image/png', buffer: readFileSync(photo) });
  await orFail(page.locator('[data-test="save"]').first().waitFor());
  const analyseMs = Math.round(performance.now() - begun);
  // The answer is there; how steady it is comes after it, and may take the band back.
  if (await page.locator('[data-test="band"]').count()) await orFail(page.locator('[data-test="spread"]').first().waitFor());
  const spreadMs = Math.round(performance.now() - begun) - analyseMs;
  const download = page.waitForEvent('download');
  await page.locator('[data-test="save"]').first().click();
  const report = JSON.parse(readFileSync(await (await download).path(), 'utf8'));

  // After a crash the worker that stood by is in use, and another one takes its place.
  const spare = (url) => more.prelude && /\/(worker|shared-memory|facext)-[^/]*\.js$/.test(url);
  assert.deepEqual(server.log.slice(before).map((e) => e.url).filter((url) => !spare(url)), [], 'nothing may be requested after the model is ready');
  assert.deepEqual(asked.filter((url) => !spare(url)), []);
  assert.deepEqual(browser.trouble, [], 'no policy violation, no uncaught error');
  assert.deepEqual(reportProblems(report), []);
  if (report.status === 'ok') {
    assert.equal(await page.locator('[data-test="band"]').count(), report.faces.length);
    assert.equal(await page.locator('[data-test="phrase"]').count(), report.faces.flatMap((f) => f.spans.filter((s) => s.mask !== null)).length);
  }
  if (out) writeFileSync(out, JSON.stringify(report, null, 2));
  t.diagnostic(JSON.stringify({ photo: basename(photo), device, first_load_bytes: firstLoad, load_ms: loadMs, analyse_ms: analyseMs, spread_ms: spreadMs, timings_ms: report.timings_ms }));
  return { report, device, page };
}

/** Mask pixels of a COCO run-length string as [from, to) stretches, column by column. */
function stretches(rle) {
  const out = [];
  let at = 0;
  lengths(rle.counts).forEach((length, i) => {
    if (i % 2 === 1) out.push([at, at + length]);
    at += length;
  });
  return out;
}

/** Run lengths of the string; an independent twin of src/rle.ts. */
function lengths(counts) {
  const out = [];
  for (let at = 0; at < counts.length; ) {
    let value = 0n;
    let shift = 0n;
    let group;
    do {
      group = BigInt(counts.charCodeAt(at++) - 48);
      value |= (group & 31n) << shift;
      shift += 5n;
    } while (group & 32n);
    if (group & 16n) value -= 1n << shift;
    out.push(Number(value) + (out.length > 2 ? out[out.length - 2] : 0));
  }
  return out;
}

const area = (rle) => stretches(rle).reduce((sum, [from, to]) => sum + to - from, 0);

function iou(a, b) {
  assert.deepEqual(a.size, b.size);
  const [x, y] = [stretches(a), stretches(b)];
  let both = 0;
  for (let i = 0, j = 0; i < x.length && j < y.length; ) {
    both += Math.max(0, Math.min(x[i][1], y[j][1]) - Math.max(x[i][0], y[j][0]));
    if (x[i][1] < y[j][1]) i++;
    else j++;
  }
  const any = area(a) + area(b) - both;
  return any === 0 ? 1 : both / any;
}

/** The native report of the photo is the browser's: the same words, masks that overlap, a score within a hundredth. */
function agreesWithNative(t, report, weights, photo = PHOTO) {
  const bin = process.env.FACEXT_BIN;
  if (!bin || !weights || !existsSync(bin)) {
    console.log('skipped: comparison with the native program (FACEXT_BIN, FACEXT_WEIGHTS, FACEXT_TINY)');
    return;
  }
  const native = JSON.parse(execFileSync(bin, ['analyze', photo, '--json', '--device', 'cpu', '--weights', weights], { stdio: ['ignore', 'pipe', 'ignore'] }));
  assert.equal(report.program.weights_sha256, native.program.weights_sha256);
  assert.equal(report.faces.length, native.faces.length);
  report.faces.forEach((face, i) => {
    const other = native.faces[i];
    assert.deepEqual([face.answer, face.band, face.family, face.spans], [other.answer, other.band, other.family, other.spans]);
    assert.ok(Math.abs(face.score - other.score) <= 0.01, `score ${face.score} and ${other.score}`);
    assert.deepEqual(face.spread.tried.map((t) => [t.how, t.band]), other.spread.tried.map((t) => [t.how, t.band]));
    face.spread.tried.forEach((trial, k) => assert.ok(Math.abs(trial.score - other.spread.tried[k].score) <= 0.01, `${trial.how}: ${trial.score} and ${other.spread.tried[k].score}`));
    assert.equal(face.masks.length, other.masks.length);
    assert.deepEqual(face.masks.map((m) => m.concept), other.masks.map((m) => m.concept));
    const overlaps = face.masks.map((m, k) => iou(m.rle, other.masks[k].rle));
    // One cell at the edge may fall to the other side of 0, which of a small mask is more than a hundredth.
    const apart = overlaps.map((v, k) => ((area(face.masks[k].rle) + area(other.masks[k].rle)) * (1 - v)) / (1 + v));
    assert.ok(overlaps.every((v, k) => v >= 0.99 || apart[k] < 1.5), `masks overlap by ${overlaps}, ${apart} pixels apart`);
    t.diagnostic(JSON.stringify({ native_score: other.score, browser_score: face.score, mask_iou: overlaps, mask_pixels: face.masks.map((m) => area(m.rle)) }));
  });
}

/** The small model always grounds something; else a comparison of its masks would compare nothing. */
function hasMasks(report) {
  assert.ok(report.faces.some((f) => f.masks.some((m) => area(m.rle) > 0)), 'no mask with pixels');
}

test('masks are compared by their pixels', () => {
  // Columns of a 4 × 3 mask: 0110, 0110, 0000 and 0011, 0011, 0000 by pycocotools' encoding of runs 1 2 2 2 5 and 2 2 2 2 4.
  const rle = (counts) => ({ size: [4, 3], counts });
  const [a, b] = [rle('12203'), rle('22202')];
  assert.deepEqual([stretches(a), area(a)], [[[1, 3], [5, 7]], 4]);
  assert.deepEqual([stretches(b), area(b)], [[[2, 4], [6, 8]], 4]);
  assert.equal(iou(a, a), 1);
  assert.equal(iou(a, b), 2 / 6);
  assert.equal(iou(rle('<'), rle('<')), 1);
  assert.equal(iou(a, rle('<')), 0);
});

/** The report of the first test, for the one after it. */
let untouched = null;

test('the real page analyses a real photo on the processor', async (t) => {
  const why = missing('weights');
  if (why) return skip(t, why);
  const { report, device } = await analyse(t, { query: '?device=cpu', args: [], out: process.env.FACEXT_REPORT });
  assert.match(device, /Processor/);
  assert.match(report.program.device, /cpu/i);
  agreesWithNative(t, report, process.env.FACEXT_WEIGHTS);
  if (report.status === 'ok') untouched = report;
});

test('an isolated page computes on several threads, and answers the same', async (t) => {
  const why = missing('weights');
  if (why) return skip(t, why);
  if (!untouched) return skip(t, 'no report from one thread');
  const { report, device } = await analyse(t, { query: '?device=cpu', isolated: true });
  assert.match(device, /WebAssembly, [234] threads/);
  const what = ({ faces }) => faces.map(({ timings_ms, ...rest }) => rest);
  assert.deepEqual(what(report), what(untouched));
});

test('where a photo was taken cannot be told from a face, and who somebody is is not answered, however often it is asked', async (t) => {
  const why = missing('weights-tiny');
  if (why) return skip(t, why);
  const { page } = await analyse(t, { query: '?device=cpu&weights=./weights-tiny/' });
  const at = (name) => page.locator(`[data-test="${name}"]`);
  const ask = async (question, state) => {
    await at('question').fill(question);
    await at('ask').click();
    const asked = page.locator(`[data-test="result"][data-state="${state}"]`).filter({ hasText: question });
    await asked.waitFor();
    return asked;
  };
  assert.match(await (await ask('Where was this taken?', 'done')).innerText(), /does not show that|cannot be told/);
  const refused = await ask('Who is this?', 'refused');
  assert.equal(await refused.locator('[data-test="again"]').count(), 0);
  assert.match(await refused.innerText(), /does not say who somebody is/);
  assert.match(await at('problem').innerText(), /who somebody is/);
});

for (const [name, prelude, left = 2] of [
  ['does not start', 'throw new Error("asked for by the test")'],
  ['fails within a job', `const Plain = WebAssembly.Instance;
    WebAssembly.Instance = function (...args) {
      const { exports } = new Plain(...args);
      const job = () => { throw new Error("asked for by the test"); };
      return { exports: exports.facext_job ? { ...exports, facext_job: job } : exports };
    }`, 1],
]) {
  test(`a helper that ${name} costs no answer`, async (t) => {
    const why = missing('weights-tiny');
    if (why) return skip(t, why);
    const { report, device, page } = await analyse(t, {
      query: '?device=cpu&weights=./weights-tiny/', isolated: true, prelude: `if (self.name === 'facext-helper') { ${prelude} }`,
    });
    assert.match(device, /threads/);
    const threads = await page.evaluate(() => document.querySelector('facext-analyzer').controller.session.shared.session.threads);
    // After a crash the engine goes on without helpers.
    assert.ok(left === 1 ? threads === 1 : threads >= left, `${threads} threads are left`);
    hasMasks(report);
    agreesWithNative(t, report, process.env.FACEXT_TINY);
  });
}

/** The photo with a blurred patch in the middle of its face, drawn by the browser: a crude forgery with a place. */
async function forgedCopy([x, y, w, h]) {
  const browser = await startBrowser(null);
  try {
    const page = await browser.page('about:blank');
    const png = await page.evaluate(
      async ({ bytes, x, y, w, h }) => {
        const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))]));
        const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
        const draw = canvas.getContext('2d');
        draw.drawImage(bitmap, 0, 0);
        draw.beginPath();
        draw.rect(x, y, w, h);
        draw.clip();
        draw.filter = `blur(${w / 14}px)`;
        draw.drawImage(bitmap, 0, 0);
        return canvas.toDataURL('image/png').split(',')[1];
      },
      { bytes: readFileSync(PHOTO).toString('base64'), x, y, w, h },
    );
    const path = join(OUT, `forged-${basename(PHOTO)}`);
    writeFileSync(path, Buffer.from(png, 'base64'));
    return path;
  } finally {
    await browser.close();
  }
}

test('a forged copy scores higher, and browser and native agree about it too', async (t) => {
  const why = missing('weights');
  if (why) return skip(t, why);
  if (!untouched) return skip(t, 'no report of the untouched photo');
  const [x, y, w, h] = untouched.faces[0].box;
  const photo = await forgedCopy([x + w * 0.2, y + h * 0.55, w * 0.6, h * 0.3].map(Math.round));
  const { report } = await analyse(t, { query: '?device=cpu', args: [], photo });
  assert.ok(report.faces[0].score > untouched.faces[0].score, `${report.faces[0].score} after ${untouched.faces[0].score}`);
  agreesWithNative(t, report, process.env.FACEXT_WEIGHTS, photo);
});

test('the tiny weights run on software WebGPU', async (t) => {
  const why = missing('weights-tiny');
  if (why) return skip(t, why);
  const args = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
  const { report, device } = await analyse(t, { query: '?device=gpu&weights=./weights-tiny/', args, out: process.env.FACEXT_REPORT_TINY });
  assert.match(device, /Graphics processor/);
  assert.match(report.program.device, /gpu/i);
  hasMasks(report);
  agreesWithNative(t, report, process.env.FACEXT_TINY);
});

for (const [name, args, reason] of [
  ['absent WebGPU', ['--disable-features=WebGPU', '--disable-gpu'], /offers no (graphics processor|WebGPU)/],
  ['a software adapter', ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'], /only emulates a graphics processor/],
]) {
  test(`${name} leads to the processor unasked, and the page says so`, async (t) => {
    const why = missing('weights-tiny');
    if (why) return skip(t, why);
    const { report, device } = await analyse(t, { query: '?weights=./weights-tiny/', args });
    assert.match(device, /Processor/);
    assert.match(device, reason);
    assert.match(report.program.device, /cpu/i);
    hasMasks(report);
    agreesWithNative(t, report, process.env.FACEXT_TINY);
  });
}
