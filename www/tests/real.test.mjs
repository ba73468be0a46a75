// The built page with the real wasm and the real weights, in headless Chromium: the CPU path, and software WebGPU with the tiny weights.
//
//   FACEXT_DIST         built page (default ../dist), with weights/ and, for the second test, weights-tiny/
//   FACEXT_PHOTO        photo to analyse (default: astronaut.png of the set-up's samples)
//   FACEXT_REPORT       where to write the report of the CPU path
//   FACEXT_REPORT_TINY  where to write the report of the tiny weights on software WebGPU
//   FACEXT_REAL_TIMEOUT seconds an analysis may take (default 240)
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { test } from 'node:test';
import { WWW, startBrowser, startServer } from './harness.mjs';
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

/** Loads the page, analyses the photo, saves the report as a person would, and watches the network meanwhile. */
async function analyse(t, { query, args, out }) {
  const server = await startServer({ root: DIST });
  const browser = await startBrowser(server, { args });
  t.after(async () => {
    await browser.close();
    await server.close();
  });
  const page = await browser.page(server.url + query);
  page.setDefaultTimeout(TIMEOUT);
  const failed = page.locator('[data-test="problem"]').waitFor().then(async () => {
    throw new Error(`the page says: ${await page.locator('[data-test="problem"]').innerText()}`);
  });
  failed.catch(() => {});
  const orFail = (promise) => Promise.race([promise, failed]);

  const started = performance.now();
  await orFail(page.locator('[data-test="download"]').click());
  await orFail(page.locator('[part="model"]').waitFor({ state: 'detached' }));
  const loadMs = Math.round(performance.now() - started);
  await page.waitForTimeout(500);
  const firstLoad = server.log.reduce((sum, e) => sum + e.sent, 0);
  const device = await page.locator('[data-test="device"]').innerText();

  const before = server.log.length;
  const asked = [];
  browser.context.on('request', (r) => !r.url().startsWith('blob:') && asked.push(r.url()));
  const begun = performance.now();
  await page.locator('input[type=file]').setInputFiles({ name: basename(PHOTO), mimeType: 'image/png', buffer: readFileSync(PHOTO) });
  await orFail(page.locator('[data-test="save"]').first().waitFor());
  const analyseMs = Math.round(performance.now() - begun);
  const download = page.waitForEvent('download');
  await page.locator('[data-test="save"]').first().click();
  const report = JSON.parse(readFileSync(await (await download).path(), 'utf8'));

  assert.deepEqual(server.log.slice(before).map((e) => e.url), [], 'nothing may be requested after the model is ready');
  assert.deepEqual(asked, []);
  assert.deepEqual(browser.trouble, [], 'no policy violation, no uncaught error');
  assert.deepEqual(reportProblems(report), []);
  if (report.status === 'ok') {
    assert.equal(await page.locator('[data-test="band"]').count(), report.faces.length);
    assert.equal(await page.locator('[data-test="phrase"]').count(), report.faces.flatMap((f) => f.spans.filter((s) => s.mask !== null)).length);
  }
  if (out) writeFileSync(out, JSON.stringify(report, null, 2));
  t.diagnostic(JSON.stringify({ photo: basename(PHOTO), device, first_load_bytes: firstLoad, load_ms: loadMs, analyse_ms: analyseMs, timings_ms: report.timings_ms }));
  return { report, device, page };
}

test('the real page analyses a real photo on the processor', async (t) => {
  const why = missing('weights');
  if (why) return skip(t, why);
  const { report, device } = await analyse(t, { query: '?device=cpu', args: [], out: process.env.FACEXT_REPORT });
  assert.match(device, /Processor/);
  assert.match(report.program.device, /cpu/i);
});

test('the tiny weights run on software WebGPU', async (t) => {
  const why = missing('weights-tiny');
  if (why) return skip(t, why);
  const args = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
  const { report, device } = await analyse(t, { query: '?device=gpu&weights=./weights-tiny/', args, out: process.env.FACEXT_REPORT_TINY });
  assert.match(device, /Graphics processor/);
  assert.match(report.program.device, /gpu/i);
});
