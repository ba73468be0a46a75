// Ends that must be good ones: a full disk, a cancel at any time within 200 ms, a new version while the page is in use, a page that reads from
// right to left. (Private windows and a lost device: download.test.mjs, analyze.test.mjs.)
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { answered, answeredScene, choose, drawnFace, fakeDist, fakeWeights, modelReady, OUT, ready, scene } from './harness.mjs';

const face = drawnFace();
// 400 kB fit; after that each write fails as on a full disk, in every kind of storage.
const FULL = `
  let room = 400_000;
  const quota = () => new DOMException('full', 'QuotaExceededError');
  const write = FileSystemSyncAccessHandle.prototype.write;
  FileSystemSyncAccessHandle.prototype.write = function (data, options) {
    if ((room -= data.byteLength) < 0) throw quota();
    return write.call(this, data, options);
  };
  Cache.prototype.put = () => Promise.reject(quota());
`;

test('a full disk: the model works now, the page says that it must be fetched again, and so it is', async (t) => {
  const { browser, server, page, at } = await scene(t, { server: { prelude: FULL } });
  await ready(page);
  assert.match(await at('notice').innerText(), /storage is full/);
  await choose(page, face);
  await answered(page);
  assert.equal(await at('problem').count(), 0);
  await page.close();
  const next = await browser.page(server.url);
  await next.locator('[data-test="download"]').waitFor();
  assert.match(await next.locator('[data-test="download"]').innerText(), /Download/);
});

/** Milliseconds from a press to the moment at which the pressed button is gone. */
function timeGone(page, name) {
  return page.evaluate(async (name) => {
    const root = document.querySelector('facext-analyzer').shadowRoot;
    const began = performance.now();
    root.querySelector(`[data-test="${name}"]`).click();
    while (root.querySelector(`[data-test="${name}"]`)) await new Promise((done) => setTimeout(done, 2));
    return performance.now() - began;
  }, name);
}

/** The promise is about the page, not about a machine that is busy with other things: one of three must keep it. */
async function bestOfThree(once) {
  let best = Infinity;
  for (let i = 0; i < 3 && best > 200; i++) best = Math.min(best, await once());
  return best;
}

test('cancel within 200 ms: a download that stalls', async (t) => {
  const { server, page, at } = await scene(t);
  server.faults.stall['shard-2.safetensors'] = 32_768;
  const took = await bestOfThree(async () => {
    await at('download').click();
    await page.waitForFunction(() => /3\d\d kB of/.test(document.querySelector('facext-analyzer').shadowRoot.querySelector('[data-test=bytes]')?.textContent ?? ''));
    return timeGone(page, 'cancel-download');
  });
  assert.ok(took <= 200, `${took} ms`);
  assert.equal(await at('problem').count(), 0);
});

test('cancel within 200 ms: while the model starts, and while a photo is opened', async (t) => {
  const { server, page, at } = await scene(t, { server: { fake: { build_ms: 2500, open_busy_ms: 2500 } } });
  const starting = await bestOfThree(async () => {
    await at('download').click();
    await page.locator('[part="model"] h2', { hasText: 'Starting the model' }).waitFor();
    const took = await timeGone(page, 'cancel-download');
    await at('download').waitFor();
    return took;
  });
  await ready(page);
  const opening = await bestOfThree(async () => {
    await choose(page, face);
    await at('stop').waitFor();
    await page.waitForTimeout(200);
    const took = await timeGone(page, 'stop');
    await page.waitForTimeout(500);
    return took;
  });
  assert.ok(starting <= 200 && opening <= 200, `${starting} and ${opening} ms`);
  assert.equal(await at('problem').count(), 0);
  // And then it goes on, with nothing fetched anew.
  const before = server.weightsLog().length;
  await choose(page, face);
  await answered(page);
  assert.equal(server.weightsLog().length, before);
});

test('a new version while the page is in use: what is open goes on, a fresh page gets the new one', async (t) => {
  const root = join(OUT, 'update');
  rmSync(root, { recursive: true, force: true });
  cpSync(fakeDist(), root, { recursive: true });
  mkdirSync(join(root, 'weights'));
  const { manifest, files } = fakeWeights();
  writeFileSync(join(root, 'weights/manifest.json'), manifest);
  for (const [name, data] of files) writeFileSync(join(root, 'weights', name), data);
  const { server, browser, page, at } = await scene(t, { server: { root }, browser: { serviceWorkers: 'allow' } });
  await ready(page);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  await page.reload();
  await modelReady(page);
  await choose(page, face);
  await answered(page);

  // The second version: another page, and a service worker that knows it.
  const html = readFileSync(join(root, 'index.html'), 'utf8');
  writeFileSync(join(root, 'index.html'), html.replace('</head>', '<meta name="generation" content="second" /></head>'));
  const worker = readFileSync(join(root, 'sw.js'), 'utf8');
  const second = worker.replace(/("?revision"?:")[0-9a-f]+(","?url"?:"index\.html")/, '$1second$2').replace(/("?url"?:"index\.html","?revision"?:")[0-9a-f]+/, '$1second');
  assert.notEqual(second, worker);
  writeFileSync(join(root, 'sw.js'), second);
  const generation = (view) => view.evaluate(() => document.querySelector('meta[name="generation"]')?.content ?? 'first');
  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration.update();
    while (!registration.waiting) await new Promise((done) => setTimeout(done, 20));
  });
  assert.equal(await generation(page), 'first');
  await at('ask').click();
  await page.locator('[data-test="result"][data-state="done"] >> nth=1').waitFor();
  const waiting = page.waitForEvent('download');
  await at('save').first().click();
  await waiting;
  // The page with the photo was neither reloaded nor told anything.
  assert.equal(await page.locator('.frame img').count(), 1);

  // While it is open another page is of the same version: their files never mix.
  const other = await browser.page(server.url);
  await modelReady(other);
  await other.waitForTimeout(1500);
  assert.deepEqual([await generation(page), await generation(other)], ['first', 'first']);
  await choose(other, face);
  await answered(other);
  await page.close();
  // Alone, a fresh page with nothing to lose takes the new one, by itself.
  await other.reload();
  await other.waitForFunction(() => document.querySelector('meta[name="generation"]')?.content === 'second');
  await modelReady(other);
  await choose(other, face);
  await answered(other);
  assert.deepEqual(browser.trouble, []);
});

test('in a page that reads from right to left nothing is cut off, and the pointer is where it points', async (t) => {
  const { page, at } = await answeredScene(t, face);
  await page.evaluate(() => (document.documentElement.dir = 'rtl'));
  await at('tool-box').click();
  for (const width of [320, 390, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    const wrong = await page.evaluate(() => {
      const out = [];
      for (const node of document.querySelector('facext-analyzer').shadowRoot.querySelectorAll('button, summary, textarea, input:not([type=file])')) {
        if (!node.checkVisibility()) continue;
        const { left, right } = node.getBoundingClientRect();
        if (left < -1 || right > innerWidth + 1) out.push(`${node.dataset.test ?? node.localName}: ${Math.round(left)} to ${Math.round(right)}`);
      }
      const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      return wide > 0 ? [...out, `${wide} pixels too wide`] : out;
    });
    assert.deepEqual(wrong, [], `${width}`);
  }
  // The first column is on the right.
  const [photo, result] = [await page.locator('.layout > .photo').boundingBox(), await page.locator('[data-test="glance"]').boundingBox()];
  assert.ok(photo.x > result.x, `${photo.x} and ${result.x}`);
  const frame = await page.locator('.frame').boundingBox();
  const to = (x, y) => [frame.x + (x / 640) * frame.width, frame.y + (y / 480) * frame.height];
  await page.mouse.move(...to(220, 160));
  await page.mouse.down();
  await page.mouse.move(...to(320, 220), { steps: 4 });
  await page.mouse.up();
  const values = await Promise.all(['left', 'top', 'width', 'height'].map((n) => at(`box-${n}`).inputValue().then(Number)));
  [220, 160, 100, 60].forEach((want, i) => assert.ok(Math.abs(values[i] - want) <= 2, `${values}`));
  await page.screenshot({ path: join(OUT, 'rtl-1280.png') });
});
