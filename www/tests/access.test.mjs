// Access: axe in both themes and languages in each state of the page, the way by keyboard, names of masks, reduced motion, sizes from 320 px to 4K.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { answered, choose, drawnFace, modelReady, OUT, ready, scene } from './harness.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const face = drawnFace();

async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.flat().join(' ')} ${n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? ''}`).join('; ')}`);
}

for (const [colorScheme, lang] of [['light', 'en'], ['dark', 'en'], ['light', 'zh'], ['dark', 'zh']]) {
  test(`axe finds nothing: ${colorScheme}, ${lang}`, async (t) => {
    const { page, at } = await scene(t, { query: `?lang=${lang}`, browser: { colorScheme }, server: { fake: { faces: [[0.1, 0.2, 0.3, 0.5], [0.6, 0.2, 0.3, 0.5]] } } });
    await at('download').waitFor();
    const found = { first: await violations(page) };
    await ready(page);
    await choose(page, face);
    await answered(page);
    found.answered = await violations(page);
    await at('phrase').first().focus();
    await at('mask-toggle').nth(1).click();
    for (const tool of ['part', 'box', 'brush']) {
      await at(`tool-${tool}`).click();
      found[tool] = await violations(page);
    }
    for (const name of ['metadata', 'shortcuts']) await at(name).locator('summary').click();
    await page.locator('[data-test="part"][data-id="nose"]').click();
    await at('ask').click();
    await page.locator('[data-test="result"][data-state="done"] >> nth=1').waitFor();
    await choose(page, Buffer.from('no picture'), 'x.jpg');
    await at('problem').waitFor();
    found.problem = await violations(page);
    await page.screenshot({ path: join(OUT, `access-${colorScheme}-${lang}.png`), fullPage: true });
    assert.deepEqual(found, Object.fromEntries(Object.keys(found).map((key) => [key, []])));
  });
}

test('by Tab alone everything is reached once, in the order of the page, and the focus can be seen', async (t) => {
  const { page, at } = await scene(t);
  await ready(page);
  await choose(page, face);
  await answered(page);
  // Where nothing is: the way begins at the head of the page.
  await page.mouse.click(3, 3);
  const way = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const inner = document.activeElement?.shadowRoot?.activeElement;
      if (!inner) return null;
      const style = getComputedStyle(inner);
      return { name: inner.dataset.test ?? inner.name ?? inner.localName, seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };
    });
    if (stop) way.push(stop);
    else if (way.length) break;
  }
  const names = way.map((w) => w.name);
  for (const stop of way) assert.ok(stop.seen, `no focus ring on ${stop.name}`);
  const order = ['canvas', 'compare', 'hide', 'phrase', 'mark', 'mask-toggle', 'mask-only', 'save', 'tool-look', 'zoom-out', 'opacity', 'export', 'pick', 'where', 'task', 'question', 'suggestion', 'ask'];
  const at2 = order.map((name) => names.indexOf(name));
  assert.ok(at2.every((n) => n >= 0), `missing: ${order.filter((_, i) => at2[i] < 0)} in ${names}`);
  assert.deepEqual([...at2].sort((a, b) => a - b), at2, names.join(' '));
  // And a mask says what it is of, and how much.
  await page.getByRole('button', { name: /^mark 1, left eyebrow\s?: \d+ % of the face · clear outline$/ }).waitFor();
  assert.equal(await at('mark').count(), 2);
});

test('with reduced motion nothing moves by itself', async (t) => {
  const { page, at } = await scene(t, { browser: { reducedMotion: 'reduce' }, server: { fake: { token_ms: 150 } } });
  await ready(page);
  await choose(page, face);
  await page.locator('.caret').waitFor();
  assert.equal(await page.locator('.caret').evaluate((p) => getComputedStyle(p, '::after').animationName), 'none');
  await answered(page);
  await at('zoom').click();
  const moving = await page.evaluate(() => document.querySelector('facext-analyzer').shadowRoot.getAnimations().filter((a) => a.playState === 'running').length);
  assert.equal(moving, 0);
});

test('from 320 pixels to 4K: nothing is cut off or too wide, and what can be pressed is large enough (screenshots in tests/.out)', async (t) => {
  const { page, browser, server } = await scene(t);
  await ready(page);
  await page.close();
  for (const [width, height, colorScheme, lang] of [[320, 640, 'light', 'en'], [320, 640, 'dark', 'zh'], [768, 1024, 'dark', 'en'], [1280, 800, 'light', 'zh'], [3840, 2160, 'light', 'en']]) {
    const view = await browser.context.newPage();
    await view.setViewportSize({ width, height });
    await view.emulateMedia({ colorScheme });
    await view.goto(`${server.url}?lang=${lang}`);
    await modelReady(view);
    await choose(view, face);
    await answered(view);
    await view.locator('[data-test="tool-lasso"]').click();
    const wrong = await view.evaluate(() => {
      const out = [];
      const root = document.querySelector('facext-analyzer').shadowRoot;
      for (const node of root.querySelectorAll('button, a, select, summary, textarea, [role=treeitem], input:not([type=file]):not(.hidden)')) {
        if (!node.checkVisibility()) continue;
        const { width, height, left, right } = node.getBoundingClientRect();
        // A control within a label is as large as its label; words in a sentence are as high as the line.
        const target = node.closest('label')?.getBoundingClientRect() ?? { width, height };
        if (!node.matches('.phrase') && (target.height < 24 || target.width < 24)) out.push(`${node.dataset.test ?? node.localName} is ${Math.round(target.width)} x ${Math.round(target.height)}`);
        if (left < -1 || right > innerWidth + 1) out.push(`${node.dataset.test ?? node.localName} ends at ${Math.round(right)}`);
      }
      const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      return wide > 0 ? [...out, `${wide} pixels too wide`] : out;
    });
    assert.deepEqual(wrong, [], `${width}`);
    await view.screenshot({ path: join(OUT, `size-${width}-${colorScheme}-${lang}.png`), fullPage: width < 1000 });
    await view.close();
  }
});
