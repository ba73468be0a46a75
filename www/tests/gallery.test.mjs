// The ready examples: one click opens one, and the truth stands beside the answer. Skipped where the build made none.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OUT, WWW, answered, choose, drawnFace, ready, scene } from './harness.mjs';

const list = join(WWW, 'gallery/gallery.json');
const skip = existsSync(list) ? false : 'no www/gallery: build.sh makes it once the native program is built';

test('an example opens with one click, and its truth is told with the answer', { skip }, async (t) => {
  const { server, browser, page, at } = await scene(t);
  await ready(page);
  const examples = JSON.parse(readFileSync(list, 'utf8'));
  assert.deepEqual(examples.map((e) => e.kind), ['untouched', 'crude', 'subtle']);
  assert.deepEqual(await page.locator('[data-test^="example-"] img').evaluateAll((all) => all.map((i) => i.naturalWidth)), [112, 112, 112]);
  assert.equal(await at('truth').isVisible(), false);
  assert.deepEqual(server.log.filter((e) => /crude-[^s]/.test(e.path)).map((e) => e.path), [], 'no full picture is fetched before a click');
  await page.screenshot({ path: join(OUT, 'gallery-empty.png'), fullPage: true });
  await at('example-crude').click();
  await answered(page);
  assert.match(await at('truth').innerText(), /left eyebrow was filled in/);
  assert.deepEqual(await at('truth').locator('img').evaluateAll((all) => all.map((i) => i.complete && i.naturalWidth)), [448]);
  await page.screenshot({ path: join(OUT, 'gallery-answer.png'), fullPage: true });
  // Another photo has no truth to tell; the untouched example has, however it comes in.
  await choose(page, drawnFace());
  // The answer that stands there at this moment may still be the earlier photo's.
  await at('truth').waitFor({ state: 'hidden' });
  await choose(page, readFileSync(join(WWW, 'gallery/untouched.png')), 'some name.png');
  await at('truth').waitFor();
  assert.match(await at('truth').innerText(), /Nothing was changed/);
  assert.equal(await at('truth').locator('img').count(), 0);
  assert.deepEqual(browser.trouble, []);
});
