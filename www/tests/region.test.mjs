// The tools on the photo by what a person does with them: pointer, touch and keyboard, and exactly what of it reaches the engine.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runnerImport } from 'vite';
import { OUT, WWW, answered, choose, drawnFace, ready, scene } from './harness.mjs';

const { rasterise, area } = (await runnerImport(join(WWW, 'src/rle.ts'), { configFile: false, logLevel: 'error' })).module;
const face = drawnFace();
// In the fake: face box 192,96 256x288; parts are ellipses on it, the nose at 320,254 (26 x 43), the left eyebrow at 269,188 (44 x 14).
const NOSE = [320, 254];
const EYEBROW = [269, 188];

async function withAnswer(t, options) {
  const all = await scene(t, options);
  // What the page sends to the engine, as it leaves the page.
  await all.page.evaluate(() => {
    window.asked = [];
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, ...rest) {
      if (message?.type === 'analyze') window.asked.push(structuredClone(message.request));
      return post.call(this, message, ...rest);
    };
  });
  await ready(all.page);
  await choose(all.page, face);
  await answered(all.page);
  const canvas = all.page.locator('canvas');
  await canvas.scrollIntoViewIfNeeded();
  /** From photo pixels to the window, wherever the photo is now. */
  const to = async (x, y) => {
    await all.page.locator('.stage').scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    return [box.x + (x / 640) * box.width, box.y + (y / 480) * box.height];
  };
  const drag = async (...points) => {
    await all.page.mouse.move(...(await to(...points[0])));
    await all.page.mouse.down();
    for (const point of points.slice(1)) await all.page.mouse.move(...(await to(...point)), { steps: 6 });
    await all.page.mouse.up();
  };
  const click = async (x, y, options) => all.page.mouse.click(...(await to(x, y)), options);
  /** Asks, and gives what the engine was asked. */
  const ask = async () => {
    const before = await all.page.evaluate(() => window.asked.length);
    await all.at('ask').click();
    await all.page.waitForFunction((n) => window.asked.length > n, before);
    await all.page.locator('[data-test="ask"]:not([disabled])').waitFor();
    return all.page.evaluate(() => window.asked.at(-1));
  };
  return { ...all, canvas, to, drag, click, ask };
}

/** Colour of the overlay at a point of the photo, [r, g, b, a]. */
function overlayAt(page, x, y) {
  return page.evaluate(([px, py]) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const canvas = document.querySelector('facext-analyzer').shadowRoot.querySelector('canvas');
    done([...canvas.getContext('2d').getImageData(Math.round((px / 640) * canvas.width), Math.round((py / 480) * canvas.height), 1, 1).data]);
  }))), [x, y]);
}

const at = (mask, x, y) => rasterise(mask, 640, 480).data[y * 640 + x];

test('a lasso goes over as a mask of the photo: what was drawn around, and no more', async (t) => {
  const { page, at: by, drag, ask } = await withAnswer(t);
  await by('tool-lasso').click();
  await drag([220, 160], [400, 160], [400, 300], [220, 300], [220, 165]);
  assert.ok((await overlayAt(page, 230, 290))[3] > 40, 'it is shown');
  assert.equal((await overlayAt(page, 100, 100))[3], 0);
  await page.locator('input[value=loc]').check();
  const { task, mask, ...rest } = await ask();
  assert.deepEqual([task, mask.size, rest], ['loc', [480, 640], {}]);
  const want = 180 * 140;
  assert.ok(Math.abs(area(mask) - want) < want * 0.03, `${area(mask)} of ${want}`);
  assert.deepEqual([at(mask, 310, 230), at(mask, 205, 230), at(mask, 310, 320)], [1, 0, 0]);
  // A tap is no lasso: the region stays.
  const [x, y] = [120, 120];
  await drag([x, y], [x + 1, y + 1]);
  assert.equal(area((await ask()).mask), area(mask));
});

test('brush and eraser paint what their ring shows; undo and redo go back and forth', async (t) => {
  const { page, at: by, drag, ask, canvas, to } = await withAnswer(t);
  await by('tool-brush').click();
  await by('size').fill('30');
  await page.mouse.move(...(await to(100, 240)));
  // The ring: something at its radius in four directions, nothing half way.
  for (const [dx, dy] of [[30, 0], [-30, 0], [0, 30], [0, -30]]) assert.ok((await overlayAt(page, 100 + dx, 240 + dy))[3] > 60, `ring at ${dx},${dy}`);
  assert.equal((await overlayAt(page, 100 + 20, 240 + 1))[3], 0);
  await page.screenshot({ path: join(OUT, 'ring.png') });
  await drag([100, 240], [300, 240]);
  const whole = (await ask()).mask;
  const pill = 200 * 60 + Math.PI * 30 * 30;
  assert.ok(Math.abs(area(whole) - pill) < pill * 0.03, `${area(whole)} of ${pill}`);
  await canvas.focus();
  await page.keyboard.press('e');
  await page.keyboard.press('[');
  assert.ok(Number(await by('size').inputValue()) < 30, 'a smaller eraser');
  await by('size').fill('40');
  await drag([200, 180], [200, 300]);
  const cut = (await ask()).mask;
  assert.deepEqual([at(cut, 200, 240), at(cut, 110, 240), at(cut, 290, 240)], [0, 1, 1]);
  await canvas.focus();
  await page.keyboard.press('Control+z');
  assert.deepEqual((await ask()).mask, whole);
  await canvas.focus();
  await page.keyboard.press('Control+Shift+z');
  assert.deepEqual((await ask()).mask, cut);
  await by('undo').click();
  await by('undo').click();
  assert.ok(await by('undo').isDisabled());
  assert.ok(await by('ask').isDisabled(), 'nothing is marked, so there is nothing to ask');
  // A click is a dab.
  await by('tool-brush').click();
  await by('size').fill('20');
  await page.mouse.click(...(await to(400, 100)));
  const dab = area((await ask()).mask);
  assert.ok(Math.abs(dab - Math.PI * 400) < 120, `${dab} of ${Math.PI * 400}`);
});

test('a click on the face names its part and chooses it; the list lights parts up and chooses, too', async (t) => {
  const { page, at: by, click, ask, to, canvas } = await withAnswer(t);
  await by('tool-part').click();
  await page.mouse.move(...(await to(...NOSE)));
  assert.ok((await overlayAt(page, NOSE[0] + 15, NOSE[1]))[3] > 40, 'the part under the pointer is lit');
  assert.equal((await overlayAt(page, NOSE[0] + 60, NOSE[1]))[3], 0);
  await page.screenshot({ path: join(OUT, 'part.png') });
  await click(...NOSE);
  assert.match(await by('region-words').innerText(), /nose/);
  assert.equal(await page.locator('[data-id="nose"]').getAttribute('aria-selected'), 'true');
  assert.deepEqual(await ask(), { task: 'age', region: 'nose' });
  // Two parts are a drawing; the second one once more takes it out again.
  await click(...EYEBROW);
  assert.deepEqual((await ask()).region, 'left_eyebrow');
  await by('mode-add').click();
  await click(...NOSE);
  const both = (await ask()).mask;
  assert.deepEqual([at(both, ...NOSE), at(both, ...EYEBROW), at(both, 320, 200)], [1, 1, 0]);
  await click(...NOSE);
  assert.deepEqual((await ask()).region, 'left_eyebrow');
  await by('mode-new').click();
  // The list: focus lights up, arrows walk the tree, Enter chooses.
  const parts = page.locator('[role=treeitem]');
  await page.locator('[role=treeitem][tabindex="0"]').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.locator('facext-analyzer').evaluate((e) => e.shadowRoot.activeElement.dataset.id), 'brows');
  assert.ok((await overlayAt(page, 410, 188))[3] > 40, 'a parent lights up all its children: the right eyebrow');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  assert.deepEqual(await ask(), { task: 'age', region: 'brows' });
  assert.equal(await page.locator('[role=treeitem][tabindex="0"]').count(), 1, 'one stop for Tab');
  assert.equal(await parts.count(), 6);
  await canvas.focus();
  await page.keyboard.press('Delete');
  assert.match(await by('region-words').innerText(), /Mark a region/);
});

test('of several faces a click asks about the one that was clicked', async (t) => {
  const { page, at: by, to, ask } = await withAnswer(t, { server: { fake: { faces: [[0.05, 0.2, 0.25, 0.5], [0.6, 0.2, 0.25, 0.5]] } } });
  await by('tool-part').click();
  // Nose of the second face: box 384,96 160x240.
  await page.mouse.click(...(await to(464, 96 + 240 * 0.55)));
  assert.deepEqual(await ask(), { task: 'age', region: 'nose', face: 1 });
  assert.match(await by('result').first().innerText(), /Face 2/);
});

test('every tool by keyboard alone', async (t) => {
  const { page, at: by, canvas, ask } = await withAnswer(t);
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  // From the photo past the answer to the toolbar by Tab, to a tool by arrows.
  await canvas.focus();
  const focused = () => page.locator('facext-analyzer').evaluate((e) => e.shadowRoot.activeElement.dataset.test);
  for (let stops = 0; stops < 20 && (await focused()) !== 'tool-look'; stops++) await page.keyboard.press('Tab');
  assert.equal(await focused(), 'tool-look');
  await press('ArrowRight', 'ArrowRight', 'ArrowRight', 'Enter');
  assert.equal(await by('tool-lasso').getAttribute('aria-pressed'), 'true');
  await canvas.focus();
  await press('Space', ...Array(8).fill('ArrowRight'), 'Space', ...Array(8).fill('ArrowDown'), 'Space', 'Enter');
  const triangle = (await ask()).mask;
  assert.ok(area(triangle) > 300, `a triangle of ${area(triangle)} pixels`);
  await canvas.focus();
  await press('d', 'Space', 'Shift+ArrowRight', 'Space');
  const dabs = (await ask()).mask;
  assert.ok(area(dabs) > area(triangle));
  await canvas.focus();
  await press('Delete', 'p', ...Array(2).fill('ArrowDown'), 'Space');
  assert.equal((await ask()).region, 'nose', 'the cursor begins in the middle of the face');
  // A lasso that is begun is dropped by Escape, and a second Escape puts the tool away.
  await canvas.focus();
  await press('l', 'Space', 'ArrowRight', 'Escape');
  assert.equal(await by('tool-lasso').getAttribute('aria-pressed'), 'true');
  await press('Escape');
  assert.equal(await by('tool-look').getAttribute('aria-pressed'), 'true');
  // Letters that are typed are letters.
  await by('question').focus();
  await page.keyboard.type('dehlpx');
  assert.equal(await by('tool-look').getAttribute('aria-pressed'), 'true');
  assert.equal((await ask()).question, 'dehlpx');
});

test('zoom and pan: keys, wheel and space bar; what is drawn then lies where it was drawn', async (t) => {
  const { page, at: by, canvas, drag, ask, to } = await withAnswer(t);
  const small = await canvas.boundingBox();
  await canvas.focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press('+');
  const large = await canvas.boundingBox();
  assert.ok(Math.abs(large.width / small.width - 1.25 ** 4) < 0.02, `${large.width / small.width}`);
  await page.keyboard.press('Shift+ArrowRight');
  assert.ok((await canvas.boundingBox()).x < large.x, 'the view moves');
  await page.keyboard.press('0');
  assert.deepEqual(await canvas.boundingBox(), small);
  // About the pointer: the nose stays under it.
  const [nx, ny] = await to(...NOSE);
  await page.mouse.move(nx, ny);
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -60);
  await page.keyboard.up('Control');
  await page.waitForFunction((width) => document.querySelector('facext-analyzer').shadowRoot.querySelector('canvas').getBoundingClientRect().width > width * 1.5, small.width);
  const [mx, my] = await to(...NOSE);
  assert.ok(Math.hypot(mx - nx, my - ny) < 1.5, `${mx - nx}, ${my - ny}`);
  await by('tool-box').click();
  await drag([300, 230], [340, 270]);
  const { box } = await ask();
  [300, 230, 40, 40].forEach((want, i) => assert.ok(Math.abs(box[i] - want) <= 1, `${box}`));
  // The space bar held moves the photo and draws nothing.
  await canvas.focus();
  const before = await canvas.boundingBox();
  await page.mouse.move(nx, ny);
  await page.keyboard.down('Space');
  await page.mouse.down();
  await page.mouse.move(nx + 40, ny + 25, { steps: 4 });
  await page.mouse.up();
  await page.keyboard.up('Space');
  const after = await canvas.boundingBox();
  assert.deepEqual([Math.round(after.x - before.x), Math.round(after.y - before.y)], [40, 25]);
  assert.deepEqual((await ask()).box, box);
  // Without Ctrl and without the focus the wheel scrolls the page.
  await by('question').focus();
  await page.setViewportSize({ width: 1280, height: 500 });
  const width = (await canvas.boundingBox()).width;
  await canvas.hover({ position: { x: 200, y: 100 } }).catch(() => {});
  const top = await page.evaluate(() => scrollY);
  await page.mouse.wheel(0, 200);
  await page.waitForFunction((y) => scrollY > y, top);
  assert.ok(Math.abs((await canvas.boundingBox()).width - width) < 1);
});

test('two fingers zoom and draw nothing; one finger paints', async (t) => {
  const { page, at: by, canvas, ask } = await withAnswer(t, { browser: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } });
  await by('tool-brush').tap();
  await page.locator('.frame').scrollIntoViewIfNeeded();
  let frame = await canvas.boundingBox();
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, ...points) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ id, x: frame.x + x * frame.width, y: frame.y + y * frame.height })) });
  await touch('touchStart', [0.45, 0.5]);
  await touch('touchStart', [0.45, 0.5], [0.55, 0.5]);
  for (const d of [0.06, 0.08, 0.1]) await touch('touchMove', [0.5 - d, 0.5], [0.5 + d, 0.5]);
  await touch('touchEnd');
  const zoomed = await canvas.boundingBox();
  assert.ok(Math.abs(zoomed.width / frame.width - 2) < 0.1, `${zoomed.width / frame.width}`);
  assert.ok(await by('undo').isDisabled(), 'nothing was painted');
  await by('zoom-fit').tap();
  // The button may lie below the answers: reaching it moved the photo.
  await page.locator('.frame').scrollIntoViewIfNeeded();
  frame = await canvas.boundingBox();
  await touch('touchStart', [0.3, 0.5]);
  for (const x of [0.35, 0.4, 0.5]) await touch('touchMove', [x, 0.5]);
  await touch('touchEnd');
  const { mask } = await ask();
  assert.deepEqual([at(mask, 256, 240), at(mask, 512, 240)], [1, 0]);
  for (const name of ['tool-look', 'undo', 'zoom-in', 'mode-new']) {
    if ((await by(name).count()) === 0) continue;
    const { width, height } = await by(name).boundingBox();
    assert.ok(width >= 44 && height >= 44, `${name} is ${width} x ${height}`);
  }
});

test('own words, suggestions, and a history: nothing that was asked is lost, not by another photo either', async (t) => {
  const { page, at: by, ask, click } = await withAnswer(t);
  await by('question').fill('Is the <b>nose</b> odd?');
  assert.equal((await ask()).question, 'Is the <b>nose</b> odd?');
  await by('answer').filter({ hasText: 'You asked: Is the <b>nose</b> odd?' }).waitFor();
  await by('suggestion').first().click();
  const sent = await by('question').inputValue();
  assert.ok(sent.length > 10);
  assert.equal((await ask()).question, sent);
  await by('question').fill('');
  await by('tool-part').click();
  await click(...NOSE);
  await ask();
  assert.equal(await by('result').count(), 4);
  assert.equal(await by('band').count(), 1, 'the verdict stands once');
  const titles = await by('result').locator('summary h2').allInnerTexts();
  assert.match(titles.join('\n'), /nose[\s\S]*nose<\/b> odd[\s\S]*First look/);
  // An answer further down opens, and its region can be taken up again.
  await by('clear').click();
  assert.equal(await by('result').last().locator('[data-test="answer"]').isVisible(), false);
  await by('result').last().locator('summary').first().click();
  assert.ok(await by('result').last().locator('[data-test="answer"]').isVisible());
  await by('reuse').first().click();
  assert.deepEqual((await ask()).region, 'nose');
  await choose(page, drawnFace(320, 240), 'other.png');
  await page.locator('[data-test="facts"]', { hasText: 'other.png' }).waitFor();
  await answered(page);
  assert.equal(await by('result').count(), 1);
  await choose(page, face, 'again.png');
  await page.locator('[data-test="facts"]', { hasText: 'again.png' }).waitFor();
  assert.equal(await by('result').count(), 5, 'the questions about this photo are back');
  assert.match(await by('region-words').innerText(), /nose/, 'and the region, too');
});
