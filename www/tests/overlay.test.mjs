// The marks on the photo: hatch, outline and trust, each switched off or shown alone, hidden by a key, saved as a picture; and the result at a glance.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { answeredScene, drawnFace } from './harness.mjs';

const face = drawnFace();

const withAnswer = (t, options) => answeredScene(t, face, options);

/** Opacities of the overlay in a box of the photo, pixel by pixel. */
function alphas(page, [x, y, w, h]) {
  return page.evaluate(([x, y, w, h]) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const canvas = document.querySelector('facext-analyzer').shadowRoot.querySelector('canvas');
    const [sx, sy] = [canvas.width / 640, canvas.height / 480];
    const { data } = canvas.getContext('2d').getImageData(Math.round(x * sx), Math.round(y * sy), Math.round(w * sx), Math.round(h * sy));
    done([...data].filter((_, i) => i % 4 === 3));
  }))), [x, y, w, h]);
}

const most = (list) => Math.max(...list);
// In the fake: eyebrow ellipse at 269,188 (44 x 14), quality 0.72; mouth at 320,318 (51 x 23), quality 0.31.
const EYEBROW = [255, 184, 30, 8];
const MOUTH = [300, 308, 40, 20];

test('masks are told apart by hatch and outline, and a weak one is dim with a broken outline', async (t) => {
  const { page, at } = await withAnswer(t);
  const kinds = async (box) => new Set(await alphas(page, box)).size;
  assert.ok((await kinds(EYEBROW)) >= 2 && (await kinds(MOUTH)) >= 2, 'lines on the fill');
  await at('hatch').uncheck();
  assert.deepEqual([await kinds(EYEBROW), await kinds(MOUTH)], [1, 1], 'plain');
  assert.ok(most(await alphas(page, MOUTH)) < most(await alphas(page, EYEBROW)) * 0.7, 'the weak one steps back');
  // Along the upper rim, just inside: whole for the one, with gaps for the other.
  const rim = (cx, cy, ry) => alphas(page, [cx - 12, cy - ry + 1, 24, 1]);
  assert.ok((await rim(269, 188, 14)).every((a) => a > 150), `${await rim(269, 188, 14)}`);
  const weak = await rim(320, 318, 23);
  assert.ok(weak.some((a) => a > 100) && weak.some((a) => a < 100), `${weak}`);
  assert.match(await at('mark').nth(1).innerText(), /weak outline/);
});

test('each mask can be switched off, shown alone, and all of them hidden while a key or a button is held', async (t) => {
  const { page, at } = await withAnswer(t);
  const seen = async () => [most(await alphas(page, EYEBROW)) > 20, most(await alphas(page, MOUTH)) > 20];
  assert.deepEqual(await seen(), [true, true]);
  await at('mask-toggle').first().click();
  assert.deepEqual(await seen(), [false, true]);
  await at('mask-toggle').first().click();
  await at('mask-only').first().click();
  await page.mouse.move(5, 5);
  assert.deepEqual(await seen(), [true, false]);
  await page.keyboard.press('Escape');
  assert.deepEqual(await seen(), [true, true]);
  await page.locator('canvas').focus();
  await page.keyboard.down('x');
  assert.deepEqual(await seen(), [false, false]);
  await page.keyboard.up('x');
  assert.deepEqual(await seen(), [true, true]);
  await at('hide').hover();
  await page.mouse.down();
  assert.deepEqual(await seen(), [false, false]);
  await page.mouse.up();
  assert.deepEqual(await seen(), [true, true]);
});

test('the saved picture is the photo with its marks, pixel for pixel elsewhere', async (t) => {
  const { page, at } = await withAnswer(t);
  const waiting = page.waitForEvent('download');
  await at('export').click();
  const file = await waiting;
  assert.match(file.suggestedFilename(), /^facext-[0-9a-f]{8}\.png$/);
  const difference = await page.evaluate(async (pictures) => {
    const [a, b] = await Promise.all(pictures.map(async (base64) => {
      const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      canvas.getContext('2d').drawImage(bitmap, 0, 0);
      return { size: [bitmap.width, bitmap.height], pixels: canvas.getContext('2d').getImageData(0, 0, bitmap.width, bitmap.height).data };
    }));
    const differs = (x, y) => [0, 1, 2].some((i) => Math.abs(a.pixels[(y * 640 + x) * 4 + i] - b.pixels[(y * 640 + x) * 4 + i]) > 8);
    let elsewhere = 0;
    for (let y = 0; y < 480; y++) for (let x = 0; x < 150; x++) elsewhere += differs(x, y);
    return { size: a.size, marks: [differs(269, 188), differs(320, 318)], elsewhere };
  }, [readFileSync(await file.path()).toString('base64'), face.toString('base64')]);
  assert.deepEqual(difference, { size: [640, 480], marks: [true, true], elsewhere: 0 });
});

test('at a glance: the band in words, what was checked, what it does not show; and the facts of the file as text', async (t) => {
  for (const [band, words, not] of [['no_sign', /No sign of manipulation found/, /does not show that the photo is authentic/], ['strong_signs', /Strong signs/, /does not show that somebody deceives/]]) {
    const { at } = await withAnswer(t, { server: { fake: { band } } });
    const text = await at('glance').innerText();
    assert.match(text, words);
    assert.match(text, not);
    assert.match(text, /256 × 288 pixels/);
    assert.doesNotMatch(text, /\b(real|fake)\b/i);
    assert.ok(await at('limits').isVisible());
    await at('metadata').locator('summary').click();
    const facts = await at('metadata').innerText();
    assert.match(facts, /Software\s+<b>Paint<\/b> 1\.0/);
    assert.match(facts, /SHA-256\s+[0-9a-f]{64}/);
  }
});

test('several faces: keys choose one, and the next question is about it alone', async (t) => {
  const { page, at } = await withAnswer(t, { server: { fake: { faces: [[0.05, 0.2, 0.25, 0.5], [0.4, 0.2, 0.25, 0.5], [0.72, 0.2, 0.25, 0.5]] } } });
  assert.equal(await at('band').count(), 3);
  const order = await at('glance').locator('h3').allInnerTexts();
  assert.deepEqual(order, ['Face 1', 'Face 2', 'Face 3']);
  await page.locator('canvas').focus();
  await page.keyboard.press('3');
  assert.equal(await at('face-3').getAttribute('aria-pressed'), 'true');
  await at('ask').click();
  await page.locator('[data-test="result"][data-state="done"] >> nth=1').waitFor();
  assert.match(await at('result').first().innerText(), /whole face · Face 3/);
  // The number once more means all of them again.
  await page.locator('canvas').focus();
  await page.keyboard.press('3');
  assert.equal(await at('face-all').getAttribute('aria-pressed'), 'true');
});
