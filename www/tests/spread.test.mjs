// How steady a result is: measured after the answer, never in its way, and told in words; the band follows the middle of what came out.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { OUT, answered, answeredScene, choose, drawnFace, ready, scene } from './harness.mjs';

const face = drawnFace();

test('a steady result says so, in the report, too', async (t) => {
  const { page, at } = await answeredScene(t, face);
  await at('spread').waitFor();
  assert.match(await at('spread').innerText(), /^Steady: .*JPEG at quality 75.*half its size/);
  assert.equal(await at('band').getAttribute('data-band'), 'signs');
  const waiting = page.waitForEvent('download');
  await at('save').click();
  const report = JSON.parse(await readFile(await (await waiting).path(), 'utf8'));
  assert.deepEqual(report.faces[0].spread.tried.map((trial) => trial.how), ['jpeg_75', 'jpeg_50', 'half_size']);
  await page.screenshot({ path: join(OUT, 'spread-steady.png'), fullPage: true });
});

test('a result that does not hold becomes inconclusive, with what came out each time; the printed page tells it, too', async (t) => {
  const { page, at } = await answeredScene(t, face, { server: { fake: { spread: ['signs', 'no_sign', 'inconclusive'] } } });
  await at('spread').waitFor();
  assert.equal(await at('band').getAttribute('data-band'), 'inconclusive');
  const words = await at('glance').innerText();
  assert.match(words, /Not steady/);
  assert.match(words, /JPEG at quality 50: No sign of manipulation found/);
  assert.doesNotMatch(words, /Most like/, 'no family is named any more');
  assert.match(await at('result').first().innerText(), /the middle of them stands/i);
  await page.screenshot({ path: join(OUT, 'spread-moved.png'), fullPage: true });
  await page.locator('[data-test="save-more"] summary').click();
  const waiting = page.waitForEvent('download');
  await at('save-page').click();
  const html = await readFile(await (await waiting).path(), 'utf8');
  assert.match(html, /JPEG at quality 50: No sign of manipulation found/);
});

test('the answer is there before it, a new question goes first, and it goes on afterwards', async (t) => {
  const { page, at } = await answeredScene(t, face, { server: { fake: { spread_ms: 400 } } });
  await at('spread-running').waitFor();
  assert.match(await at('glance').innerText(), /Signs of manipulation/);
  assert.doesNotMatch(await at('glance').innerText(), /So far/);
  await at('ask').click();
  await at('spread-running').waitFor({ state: 'detached' });
  await page.locator('[data-test="result"][data-state="done"] >> nth=1').waitFor();
  await at('spread-running').waitFor();
  await at('spread').waitFor();
  // Both answers get theirs.
  await at('spread-running').waitFor({ state: 'detached' });
  const reports = await page.evaluate(() => document.querySelector('facext-analyzer').controller.runs.map((run) => run.report.faces.map((face) => face.spread?.tried.length)));
  assert.deepEqual(reports, [[3], [3]]);
});

test('it can be left out within 200 ms, even while the worker cannot hear, and the model stays loaded', async (t) => {
  const { page, at } = await scene(t, { server: { fake: { spread_busy_ms: 1500 } } });
  await ready(page);
  // The replacement that stands by comes a moment after the model; counted too early, it looked like one.
  while (page.workers().length < 2) await page.waitForTimeout(10);
  const workers = page.workers();
  await choose(page, face);
  await answered(page);
  await at('spread-running').waitFor();
  const took = await page.evaluate(async () => {
    const root = document.querySelector('facext-analyzer').shadowRoot;
    const began = performance.now();
    root.querySelector('[data-test="spread-skip"]').click();
    while (root.querySelector('[data-test="spread-running"]')) await new Promise((done) => setTimeout(done, 5));
    return performance.now() - began;
  });
  assert.ok(took <= 200, `${took} ms`);
  await page.waitForTimeout(300);
  assert.equal(await at('spread-running').count(), 0, 'and it does not begin again by itself');
  // The next question waits for the trial that runs, and no worker was replaced for it.
  await at('ask').click();
  await page.locator('[data-test="result"][data-state="done"] >> nth=1').waitFor();
  assert.ok(page.workers().length === 2 && page.workers().every((worker, at) => worker === workers[at]));
  assert.equal(await at('problem').count(), 0);
});

test('another photo goes first, and the first one goes on when it is back', async (t) => {
  const { page, at } = await answeredScene(t, face, { server: { fake: { spread_ms: 300 } } });
  await at('spread-running').waitFor();
  await choose(page, drawnFace(320, 240), 'other.png');
  await page.locator('[data-test="facts"]', { hasText: 'other.png' }).waitFor();
  await answered(page);
  await at('spread').waitFor();
  await choose(page, face, 'face.png');
  await page.locator('[data-test="facts"]', { hasText: 'face.png' }).waitFor();
  await at('spread').waitFor();
});

test('an element that is taken away ends it, and nothing goes on in the background', async (t) => {
  const { page, at } = await answeredScene(t, face, { server: { fake: { spread_ms: 400 } } });
  await at('spread-running').waitFor();
  const calls = await page.evaluate(async () => {
    const element = document.querySelector('facext-analyzer');
    const { session } = element.controller;
    let calls = 0;
    const spread = session.spread.bind(session);
    session.spread = (...args) => (calls++, spread(...args));
    element.remove();
    await new Promise((done) => setTimeout(done, 1000));
    return calls;
  });
  assert.equal(calls, 0);
});

test('words that name another kind than the classifier are said to differ', async (t) => {
  const { at } = await answeredScene(t, face, { server: { fake: { warnings: ['words_name_another_family'] } } });
  assert.match(await at('kinds-differ').innerText(), /The words and the classifier differ on the kind/);
  assert.match(await at('result').first().innerText(), /The words and the classifier differ on the kind of technique/);
});
