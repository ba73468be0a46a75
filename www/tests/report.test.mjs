// What is saved of an answer: nothing that one would not share unless asked for, and each form as its readers expect it.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { OUT, answered, choose, drawnFace, ready, scene, startBrowser } from './harness.mjs';

const face = drawnFace();
const NAME = '<img src=x onerror=alert(1)> Jane at home.png';

async function withAnswer(t, options) {
  const all = await scene(t, options);
  await ready(all.page);
  await choose(all.page, face, NAME);
  await answered(all.page);
  const save = async (kind, { open = true } = {}) => {
    if (open) await all.page.locator('[data-test="save-more"]').first().evaluate((node) => (node.open = true));
    const waiting = all.page.waitForEvent('download');
    await all.at(kind).first().click();
    const file = await waiting;
    return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
  };
  return { ...all, save };
}

test('the name of the file is left out unless it is wanted, and the preview shows what is saved', async (t) => {
  const { page, at, save } = await withAnswer(t);
  const plain = await save('save', { open: false });
  assert.match(plain.name, /^facext-[0-9a-f]{8}\.json$/);
  assert.equal(plain.bytes.includes('Jane'), false);
  const report = JSON.parse(plain.bytes);
  assert.deepEqual([report.file.name, report.request], ['', { task: 'age' }]);
  await page.locator('[data-test="save-more"] summary').click();
  assert.doesNotMatch(await at('preview').innerText(), /Jane/);
  await page.locator('input[name="save-name"]').check();
  assert.match(await at('preview').innerText(), /Jane at home/);
  assert.equal(JSON.parse((await save('save')).bytes).file.name, NAME);
  // The preview is the report, but for the length of the run lengths.
  const shown = JSON.parse(await at('preview').innerText());
  for (const mask of shown.faces[0].masks) assert.match(mask.rle.counts, /…$/);
  assert.deepEqual(Object.keys(shown), Object.keys(report));
});

test('the page to print: words, marks and limits; no script, no request, hostile names stay text', async (t) => {
  const { page, save, server } = await withAnswer(t);
  await page.locator('[data-test="save-more"] summary').click();
  await page.locator('input[name="save-name"]').check();
  const bare = (await save('save-page')).bytes.toString();
  assert.equal(bare.split('data:image/').length - 1, 2, 'two masks, no photo');
  await page.locator('input[name="save-photo"]').check();
  const { name, bytes } = await save('save-page');
  assert.match(name, /^facext-[0-9a-f]{8}\.html$/);
  assert.match(bytes.toString(), /data:image\/jpeg/);
  const path = join(OUT, 'report.html');
  await writeFile(path, bytes);
  const reader = await startBrowser(null);
  t.after(() => reader.close());
  const view = await reader.context.newPage();
  const asked = [];
  view.on('request', (r) => /^(file|data):/.test(r.url()) || asked.push(r.url()));
  view.on('dialog', (d) => assert.fail(d.message()));
  await view.goto(pathToFileURL(path).href);
  assert.match(await view.locator('body').innerText(), /Signs of manipulation[\s\S]*left eyebrow[\s\S]*<img src=x onerror=alert\(1\)> Jane at home\.png/);
  assert.match(await view.locator('.limits').innerText(), /does not mean/);
  assert.deepEqual(await view.locator('img').evaluateAll((all) => all.map((i) => i.naturalWidth > 0 && i.alt.length > 0)), [true, true, true]);
  assert.equal(await view.locator('script').count(), 0);
  assert.deepEqual([asked, reader.trouble], [[], []]);
  await view.screenshot({ path: join(OUT, 'report-page.png'), fullPage: true });
  assert.ok(server.log.length > 0);
});

test('masks as PNG and as COCO: every pixel and every run as in the report', async (t) => {
  const { page, at, save } = await withAnswer(t);
  const report = JSON.parse((await save('save')).bytes);
  const coco = JSON.parse((await save('save-coco')).bytes);
  const masks = report.faces[0].masks;
  assert.deepEqual(coco.annotations.map((a) => a.segmentation), masks.map((m) => m.rle));
  assert.deepEqual(coco.annotations.map((a) => coco.categories.find((c) => c.id === a.category_id).name), masks.map((m) => m.concept));
  assert.deepEqual([coco.images[0].width, coco.images[0].height, coco.images[0].file_name], [640, 480, '']);

  const files = [];
  page.on('download', (file) => files.push(file));
  await at('save-masks').click();
  for (let left = 100; left > 0 && files.length < 2; left--) await page.waitForTimeout(50);
  assert.deepEqual(files.map((f) => f.suggestedFilename().replace(/^facext-[0-9a-f]{8}/, '')), ['-face-1-mask-1.png', '-face-1-mask-2.png']);
  for (const [i, file] of files.entries()) {
    const bytes = [...(await readFile(await file.path()))];
    const [width, height, white, other] = await page.evaluate(async (data) => {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(data)]));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      const context = canvas.getContext('2d');
      context.drawImage(bitmap, 0, 0);
      const { data: pixels } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      let [white, other] = [0, 0];
      for (let at = 0; at < pixels.length; at += 4) {
        const sum = pixels[at] + pixels[at + 1] + pixels[at + 2];
        white += sum === 765;
        other += sum !== 765 && sum !== 0;
      }
      return [bitmap.width, bitmap.height, white, other];
    }, bytes);
    assert.deepEqual([width, height, white, other], [640, 480, coco.annotations[i].area, 0]);
  }
});
