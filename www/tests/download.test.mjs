// The weights on their way into the browser: sizes, cancel, resume, damage, storage. Real HTTP, real OPFS, fake engine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answered, choose, drawnFace, modelReady, ready, scene, startServer } from './harness.mjs';

const NO_OPFS = "StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException('no', 'SecurityError'));";
const NO_CACHE = "CacheStorage.prototype.open = () => Promise.reject(new DOMException('no', 'SecurityError'));";
const TOTAL = 900_000;

test('the size is stated before anything is fetched, and only a click starts it', async (t) => {
  const { server, at, page } = await scene(t);
  await at('download').waitFor();
  assert.match(await at('download').innerText(), /900 kB/);
  await page.waitForTimeout(300);
  assert.equal(server.weightsLog().length, 0, 'no weight may be asked for before the click');
});

test('progress counts bytes, cancel keeps what has come, and the rest is fetched by Range', async (t) => {
  const { server, at, page } = await scene(t);
  server.faults.stall['shard-2.safetensors'] = 163_840;
  await at('download').click();
  // config.json 17, shard 1 whole, shard 2 so far.
  await page.waitForFunction(() => /46\d kB of 900 kB/.test(document.querySelector('facext-analyzer').shadowRoot.querySelector('[data-test=bytes]')?.textContent ?? ''));
  await at('cancel-download').click();
  await at('download').waitFor();
  assert.match(await at('download').innerText(), /Download the rest \(436 kB of 900 kB\)/);
  assert.equal(await at('problem').count(), 0, 'a cancel is no error');
  delete server.faults.stall['shard-2.safetensors'];
  const before = server.log.length;
  await ready(page);
  const second = server.log.slice(before).filter((e) => e.path.includes('shard'));
  const resumed = second.find((e) => e.range);
  assert.ok(resumed, 'the interrupted file goes on by Range');
  assert.equal(resumed.range, 'bytes=163840-');
  assert.equal(second.reduce((sum, e) => sum + e.sent, 0), TOTAL - 300_000 - 163_840, 'exactly the missing bytes are fetched');
});

test('a connection cut in the middle goes on where it stopped, without help', async (t) => {
  const { server, page } = await scene(t);
  server.faults.cut['shard-2.safetensors'] = 163_840;
  await ready(page);
  const shard = server.weightsLog().filter((e) => e.path.endsWith('shard-2.safetensors'));
  assert.equal(shard.length, 2);
  const from = Number(/^bytes=(\d+)-$/.exec(shard[1].range)[1]);
  assert.ok(from > 0 && from <= 163_840, `resumed at ${from}`);
  assert.equal(shard[1].sent, 300_000 - from, 'exactly the missing bytes');
});

test('a tab closed in the middle loses nothing: the next visit fetches only the rest', async (t) => {
  const { server, browser, page } = await scene(t);
  server.faults.slow = 50;
  await page.locator('[data-test="download"]').click();
  while (!server.weightsLog().some((e) => e.path.endsWith('shard-2.safetensors') && e.sent > 150_000)) await page.waitForTimeout(20);
  await page.close();
  server.faults.slow = 0;
  const before = server.log.length;
  const next = await browser.page(server.url);
  await ready(next);
  const again = server.log.slice(before).filter((e) => e.path.includes('shard'));
  assert.ok(!again.some((e) => e.path.endsWith('shard-1.safetensors')), 'a whole file is not fetched again');
  assert.ok(again.find((e) => e.path.endsWith('shard-2.safetensors'))?.range, 'the partial one goes on by Range');
});

test('a connection that stays dead ends in words, and the next click goes on', async (t) => {
  const { server, page, at } = await scene(t);
  server.faults.cut['shard-2.safetensors'] = 98_304;
  server.faults.slow = 20;
  await at('download').click();
  while (server.faults.cut['shard-2.safetensors']) await page.waitForTimeout(5);
  server.faults.dead = true;
  await at('problem').waitFor();
  assert.equal(await at('problem').getAttribute('data-code'), 'download.failed');
  assert.match(await at('download').innerText(), /Download the rest/);
  server.faults.dead = false;
  await ready(page);
  assert.ok(server.weightsLog().at(-2).range, 'it went on by Range');
});

test('a server that ignores Range makes the file start again, and it still arrives whole', async (t) => {
  const { server, page } = await scene(t);
  server.faults.noRange = true;
  server.faults.cut['shard-1.safetensors'] = 98_304;
  await ready(page);
  assert.deepEqual(server.weightsLog().filter((e) => e.path.endsWith('shard-1.safetensors')).map((e) => e.sent), [98_304, 300_000]);
});

test('a missing shard is named', async (t) => {
  const { server, at } = await scene(t);
  server.faults.missing.add('shard-3.safetensors');
  await at('download').click();
  await at('problem').waitFor();
  assert.equal(await at('problem').getAttribute('data-code'), 'weights.missing_shard');
  assert.match(await at('problem').innerText(), /shard-3\.safetensors/);
  server.faults.missing.clear();
  await at('download').click();
  await at('problem').waitFor({ state: 'detached' });
});

test('a shard with one flipped bit is fetched once more, then named; nothing of it is kept', async (t) => {
  const { server, browser, at } = await scene(t);
  server.faults.flip['shard-2.safetensors'] = 2;
  await at('download').click();
  await at('problem').waitFor();
  assert.equal(await at('problem').getAttribute('data-code'), 'weights.hash');
  assert.match(await at('problem').innerText(), /shard-2\.safetensors/);
  assert.equal(server.weightsLog().filter((e) => e.path.endsWith('shard-2.safetensors')).length, 2);
  const page = await browser.page(server.url);
  await page.locator('[data-test="download"]').click();
  await modelReady(page);
  assert.equal(server.weightsLog().filter((e) => e.path.endsWith('shard-2.safetensors')).at(-1).range, null, 'the bad bytes were thrown away');
});

test('one flipped bit in one answer only is mended without a word', async (t) => {
  const { server, page, at } = await scene(t);
  server.faults.flip['shard-2.safetensors'] = 1;
  await ready(page);
  assert.equal(await at('problem').count(), 0);
});

test('the second visit asks for no weight; a stored file that rotted is fetched again', async (t) => {
  const { server, browser, page } = await scene(t);
  await ready(page);
  await page.close();
  const count = server.weightsLog().length;
  const second = await browser.page(server.url);
  await modelReady(second);
  assert.equal(server.weightsLog().length, count, 'everything came from storage');

  await second.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('facext-weights');
    for await (const dir of root.values()) {
      for await (const file of dir.values()) {
        if (!file.name.endsWith('shard-1.safetensors')) continue;
        const out = await file.createWritable({ keepExistingData: true });
        await out.write({ type: 'write', position: 77, data: new Uint8Array([1, 2, 3]) });
        await out.close();
      }
    }
  });
  await second.close();
  const third = await browser.page(server.url);
  await modelReady(third);
  const again = server.weightsLog().slice(count);
  assert.deepEqual(again.map((e) => e.path.split('/').pop()), ['shard-1.safetensors']);
  assert.match(await third.locator('[data-test="notice"]').innerText(), /damaged/);
});

test('a model that does not start can be started again, without fetching anything', async (t) => {
  const { server, page, at } = await scene(t, { server: { fake: { build_fails: 1 } } });
  await at('download').click();
  await at('problem').waitFor();
  assert.equal(await at('problem').getAttribute('data-code'), 'weights.format');
  const count = server.weightsLog().length;
  assert.equal(await at('download').innerText(), 'Start the model');
  await ready(page);
  assert.equal(server.weightsLog().length, count);
});

test('old files are evicted when the manifest changes', async (t) => {
  const { server, browser, page } = await scene(t);
  await ready(page);
  await page.close();
  const next = await startServer({ shardBytes: 200_000 });
  t.after(() => next.close());
  server.weights.manifest = next.weights.manifest;
  server.weights.files = next.weights.files;
  const second = await browser.page(server.url);
  await ready(second);
  const sizes = await second.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('facext-weights');
    const out = [];
    for await (const dir of root.values()) for await (const file of dir.values()) out.push((await file.getFile()).size);
    return out.sort((a, b) => a - b);
  });
  assert.deepEqual(sizes, [17, 200_000, 200_000, 200_000]);
});

test('kept in memory only: after a hard stop the download is offered again, never done unasked', async (t) => {
  const { server, page, at } = await scene(t, { server: { prelude: NO_OPFS + NO_CACHE, fake: { busy_ms: 8000 } } });
  await ready(page);
  await choose(page, drawnFace());
  await at('band').waitFor();
  await page.waitForTimeout(100);
  const count = server.weightsLog().length;
  await at('stop').click();
  await at('again').click();
  await at('problem').waitFor();
  assert.equal(await at('problem').getAttribute('data-code'), 'storage.gone');
  assert.equal(server.weightsLog().length, count);
  await ready(page);
  await at('again').first().click();
  await answered(page);
});

for (const [name, prelude, from] of [['OPFS', NO_OPFS, 'the Cache API'], ['OPFS and Cache API', NO_OPFS + NO_CACHE, 'memory']]) {
  test(`without ${name} the model works from ${from}`, async (t) => {
    const { server, browser, page } = await scene(t, { server: { prelude } });
    await ready(page);
    await choose(page, drawnFace());
    await answered(page);
    await page.close();
    const count = server.weightsLog().length;
    const second = await browser.page(server.url);
    if (from === 'memory') await second.locator('[data-test="download"]').waitFor();
    else await modelReady(second);
    assert.equal(server.weightsLog().length, count);
  });
}
