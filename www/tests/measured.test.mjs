// What was measured at a mark stands beside it in words, in both languages and on the printed page; where nothing stands out, that is said.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { OUT, answeredScene, drawnFace } from './harness.mjs';

const face = drawnFace();

test('a mark is told apart from the words about it by what was measured there', async (t) => {
  const { page, at } = await answeredScene(t, face);
  const told = await at('measured').allInnerTexts();
  assert.equal(told.length, 2);
  assert.equal(told[0], 'Measured here: softer than around it; bluer than usual.');
  assert.match(told[1], /^Nothing measured under this mask stands out/);
  await page.screenshot({ path: join(OUT, 'measured.png'), fullPage: true });
  await page.locator('[data-test="save-more"] summary').click();
  const waiting = page.waitForEvent('download');
  await at('save-page').click();
  assert.match(await readFile(await (await waiting).path(), 'utf8'), /Measured here: softer than around it; bluer than usual\./);
});

test('the same in Chinese', async (t) => {
  const { at } = await answeredScene(t, face, { query: '?lang=zh' });
  assert.deepEqual(await at('measured').allInnerTexts(), ['此处实测：较周围模糊；偏蓝。', '此处测量无异常：文字仅为模型所言。']);
});
