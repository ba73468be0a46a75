// Before and after: the line between the photo as it is and the photo with its marks, by pointer, touch and keyboard.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OUT, answeredScene, drawnFace } from './harness.mjs';

const face = drawnFace();

/** Whether anything is drawn on the overlay at points of the photo. In the fake: eyebrow around 269,188, mouth around 320,318 (51 x 23). */
function marked(page, points) {
  return page.evaluate((points) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const canvas = document.querySelector('facext-analyzer').shadowRoot.querySelector('canvas');
    const at = ([x, y]) => canvas.getContext('2d').getImageData(Math.round((x / 640) * canvas.width), Math.round((y / 480) * canvas.height), 1, 1).data[3] > 20;
    done(points.map(at));
  }))), points);
}
// Left and right half of the mouth, and the eyebrow.
const POINTS = [[290, 318], [350, 318], [269, 188]];

async function compared(t, options) {
  const all = await answeredScene(t, face, options);
  await all.at('compare').click();
  const split = all.at('split');
  const frame = async () => all.page.locator('.frame').boundingBox();
  return { ...all, split, frame, value: async () => Number(await split.getAttribute('aria-valuenow')) };
}

test('left of the line is the photo, right of it its marks; by pointer', async (t) => {
  const { page, at, split, frame, value } = await compared(t);
  assert.equal(await value(), 50);
  assert.deepEqual(await marked(page, POINTS), [false, true, false]);
  const box = await frame();
  const x = (share) => box.x + share * box.width;
  await page.mouse.move(x(0.5), box.y + 30);
  await page.mouse.down();
  await page.mouse.move(x(0.3), box.y + 60, { steps: 4 });
  await page.mouse.up();
  assert.ok(Math.abs((await value()) - 30) <= 1, `${await value()}`);
  assert.deepEqual(await marked(page, POINTS), [true, true, true]);
  // The line is where its value is.
  const line = await split.boundingBox();
  assert.ok(Math.abs(line.x + line.width / 2 - x(0.3)) < 6, `${line.x + line.width / 2} against ${x(0.3)}`);
  await page.screenshot({ path: join(OUT, 'split-1280.png') });
  // A mask that is not drawn is not found by the pointer either.
  await split.focus();
  await page.keyboard.press('End');
  await page.mouse.move(x(290 / 640), box.y + (318 / 480) * box.height);
  await page.waitForTimeout(50);
  assert.doesNotMatch(await at('phrase').nth(1).getAttribute('class'), /\bon\b/);
  await at('compare').click();
  assert.equal(await split.count(), 0);
  assert.deepEqual(await marked(page, POINTS), [true, true, true]);
});

test('by keyboard, within its ends, and told to screen readers', async (t) => {
  const { page, split, value } = await compared(t);
  await split.focus();
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
    return value();
  };
  assert.equal(await press('ArrowRight', 'ArrowRight'), 54);
  assert.equal(await press('PageDown'), 44);
  assert.equal(await press('Home', 'ArrowLeft'), 0);
  assert.deepEqual(await marked(page, POINTS), [true, true, true]);
  assert.equal(await press('End', 'ArrowUp'), 100);
  assert.deepEqual(await marked(page, POINTS), [false, false, false]);
  await page.getByRole('slider', { name: /Line between the photo/ }).waitFor();
  assert.match(await split.getAttribute('aria-valuetext'), /100 %/);
});

test('by touch, also on a zoomed photo, and in a page that reads from right to left', async (t) => {
  const { page, at, frame, value } = await compared(t, { browser: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } });
  const cdp = await page.context().newCDPSession(page);
  const drag = async (from, to) => {
    const box = await frame();
    const points = (share) => [{ x: box.x + share * box.width, y: box.y + 40 }];
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: points(from) });
    for (const k of [0.5, 1]) await cdp.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: points(from + (to - from) * k) });
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  };
  await page.locator('.frame').scrollIntoViewIfNeeded();
  await drag(0.5, 0.7);
  assert.ok(Math.abs((await value()) - 70) <= 1, `${await value()}`);
  await page.evaluate(() => (document.documentElement.dir = 'rtl'));
  await drag(0.7, 0.4);
  assert.ok(Math.abs((await value()) - 40) <= 1, `${await value()}`);
  await page.evaluate(() => (document.documentElement.dir = 'ltr'));
  await at('zoom').tap();
  await page.waitForTimeout(350);
  const [line, box] = [await at('split').boundingBox(), await frame()];
  assert.ok(Math.abs(line.x + line.width / 2 - (box.x + 0.4 * box.width)) < 8, 'the line follows the zoom');
  assert.ok(line.width < 50, 'and is as thick as before');
});

test('a picture that is saved has all of its marks, wherever the line stands', async (t) => {
  const { page, at, split } = await compared(t);
  await split.focus();
  await page.keyboard.press('End');
  const waiting = page.waitForEvent('download');
  await at('export').click();
  const bytes = readFileSync(await (await waiting).path()).toString('base64');
  const differs = await page.evaluate(async ([saved, photo, points]) => {
    const pixels = await Promise.all([saved, photo].map(async (base64) => {
      const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
      context.drawImage(bitmap, 0, 0);
      return points.map(([x, y]) => [...context.getImageData(x, y, 1, 1).data].join());
    }));
    return points.map((_, i) => pixels[0][i] !== pixels[1][i]);
  }, [bytes, face.toString('base64'), POINTS]);
  assert.deepEqual(differs, [true, true, true]);
});
