// The core paths in a stock Firefox (Debian: firefox-esr), through WebDriver BiDi: download, answer, phrases and masks, a region, the line
// between before and after, saving, stop, a bad file, Chinese, storage. Skipped, and said, where there is no Firefox.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { OUT, drawnFace, startServer } from './harness.mjs';

const FIREFOX = process.env.FACEXT_FIREFOX ?? ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find(existsSync);
const skip = FIREFOX ? false : 'no Firefox; install it (Debian: firefox-esr) or set FACEXT_FIREFOX';
if (skip) console.log(`skipped: ${skip}`);

const dir = mkdtempSync(join(tmpdir(), 'facext-firefox-'));
const photo = join(dir, 'face.png');
const saved = join(dir, 'saved');
writeFileSync(photo, drawnFace());
let browser;

before(async () => {
  if (skip) return;
  browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: true,
    // Nothing that the browser asks of its maker may mix with what the page asks for; files go to a folder without a question.
    extraPrefsFirefox: { 'browser.download.folderList': 2, 'browser.download.dir': saved, 'browser.download.useDownloadDir': true, 'network.captive-portal-service.enabled': false },
  });
});
after(async () => {
  await browser?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A page on a server of its own; nothing of it may end in an uncaught error. */
async function open(t, { query = '', ...options } = {}) {
  const server = await startServer(options);
  const page = await browser.newPage();
  const trouble = [];
  page.on('pageerror', (e) => trouble.push(String(e)));
  page.on('console', (m) => /Content.Security.Policy|Trusted/i.test(m.text()) && trouble.push(m.text()));
  t.after(async () => {
    await page.close();
    await server.close();
    assert.deepEqual(trouble, []);
  });
  await page.goto(server.url + query);
  // Not Puppeteer's own waiting: it compiles functions from text, which the page's policy forbids in Firefox.
  const until = async (what, ...args) => {
    for (const end = Date.now() + 60_000; ; await new Promise((done) => setTimeout(done, 30))) {
      const value = await page.evaluate(what, ...args);
      if (value) return value;
      if (Date.now() > end) throw new Error(`never true: ${what} ${args}`);
    }
  };
  const inside = async (selector) => {
    await until((selector) => !!document.querySelector('facext-analyzer')?.shadowRoot?.querySelector(selector), selector);
    return (await page.evaluateHandle((selector) => document.querySelector('facext-analyzer').shadowRoot.querySelector(selector), selector)).asElement();
  };
  const at = (name) => inside(`[data-test="${name}"]`);
  return {
    server, page, at, until, inside,
    text: async (name) => (await at(name)).evaluate((node) => node.innerText),
    count: (name) => page.evaluate((name) => document.querySelector('facext-analyzer').shadowRoot.querySelectorAll(`[data-test="${name}"]`).length, name),
    press: async (name) => (await at(name)).evaluate((node) => node.click()),
    gone: (name) => until((name) => !document.querySelector('facext-analyzer').shadowRoot.querySelector(`[data-test="${name}"]`), name),
    ready: () => until(() => !document.querySelector('facext-analyzer').shadowRoot.querySelector('[part="model"]')),
    choose: async (path = photo) => (await inside('input[type=file]')).uploadFile(path),
    answers: (count) => until((count) => document.querySelector('facext-analyzer').shadowRoot.querySelectorAll('[data-test="result"][data-state="done"]').length >= count, count),
    /** Opacity of the overlay at points of the photo. */
    overlay: (...points) => page.evaluate((points) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
      const canvas = document.querySelector('facext-analyzer').shadowRoot.querySelector('canvas');
      done(points.map(([x, y]) => canvas.getContext('2d').getImageData(Math.round((x / 640) * canvas.width), Math.round((y / 480) * canvas.height), 1, 1).data[3]));
    }))), points),
  };
}

async function answered(t, options) {
  const all = await open(t, options);
  await all.press('download');
  await all.ready();
  await all.choose();
  await all.answers(1);
  return all;
}

// In the fake: eyebrow around 269,188, mouth around 320,318.
const [EYEBROW, MOUTH] = [[269, 188], [350, 318]];

test('Firefox: from the download to an answer with masks, steady or not; nothing is asked of the network after that', { skip }, async (t) => {
  const { server, page, text, count, choose, answers, at, ready } = await open(t);
  assert.match(await text('download'), /900 kB/);
  assert.equal(server.weightsLog().length, 0);
  await (await at('download')).click();
  await ready();
  await new Promise((done) => setTimeout(done, 500));
  const before = server.log.length;
  await choose();
  await answers(1);
  assert.match(await text('glance'), /Signs of manipulation/);
  assert.match(await text('spread'), /Steady/);
  assert.equal(await count('phrase'), 2);
  assert.deepEqual(server.log.slice(before).map((e) => e.url), []);
  await page.setViewport({ width: 1280, height: 900 });
  await page.screenshot({ path: join(OUT, 'firefox-1280.png') });
});

test('Firefox: phrases light masks by keyboard, the line shows the photo without them, a key hides them', { skip }, async (t) => {
  const { page, at, overlay } = await answered(t);
  const [plain] = await overlay(EYEBROW);
  assert.ok(plain > 20);
  await (await at('phrase')).focus();
  assert.ok((await overlay(EYEBROW))[0] > plain);
  await page.keyboard.press('Tab');
  assert.ok((await overlay(EYEBROW))[0] < plain, 'the other phrase has the focus');
  await (await at('compare')).click();
  assert.deepEqual((await overlay(EYEBROW, MOUTH)).map((a) => a > 20), [false, true]);
  await (await at('split')).focus();
  await page.keyboard.press('Home');
  assert.deepEqual((await overlay(EYEBROW, MOUTH)).map((a) => a > 20), [true, true]);
});

test('Firefox: a box by the pointer and a part by its name are asked about; the report is saved', { skip }, async (t) => {
  const { page, at, text, press, answers, inside } = await answered(t);
  await press('tool-box');
  const frame = await (await inside('.frame')).boundingBox();
  const to = (x, y) => [frame.x + (x / 640) * frame.width, frame.y + (y / 480) * frame.height];
  await page.mouse.move(...to(220, 160));
  await page.mouse.down();
  await page.mouse.move(...to(320, 220), { steps: 4 });
  await page.mouse.up();
  const width = Number(await (await at('box-width')).evaluate((node) => node.value));
  assert.ok(Math.abs(width - 100) <= 2, `${width}`);
  await press('ask');
  await answers(2);
  assert.match(await text('answer'), /the box 2\d\d, 1\d\d/);
  await (await inside('[data-test="part"][data-id="nose"]')).evaluate((node) => node.click());
  await press('ask');
  await answers(3);
  assert.match(await text('answer'), /About nose/);
  await (await at('save')).click();
  let files = [];
  for (let left = 100; left > 0 && !files.length; left--) {
    await new Promise((done) => setTimeout(done, 100));
    files = existsSync(saved) ? readdirSync(saved).filter((name) => name.endsWith('.json')) : [];
  }
  assert.match(files[0] ?? '', /^facext-[0-9a-f]{8}\.json$/);
  assert.equal(JSON.parse(readFileSync(join(saved, files[0]), 'utf8')).request.region, 'nose');
});

test('Firefox: stop within 200 ms while the worker cannot hear, then on; a bad file loses nothing', { skip }, async (t) => {
  const { page, count, press, choose, answers, at, text, gone, ready } = await open(t, { fake: { busy_ms: 3000 } });
  await press('download');
  await ready();
  await choose();
  await at('stop');
  await new Promise((done) => setTimeout(done, 800));
  const took = await page.evaluate(async () => {
    const root = document.querySelector('facext-analyzer').shadowRoot;
    const began = performance.now();
    root.querySelector('[data-test="stop"]').click();
    while (root.querySelector('[data-test="stop"]')) await new Promise((done) => setTimeout(done, 5));
    return performance.now() - began;
  });
  assert.ok(took <= 200, `${took} ms`);
  await press('again');
  await answers(1);
  const letter = join(dir, 'letter.jpg');
  writeFileSync(letter, 'Dear Sir');
  await choose(letter);
  assert.match(await text('problem'), /not a photo/);
  assert.equal(await count('band'), 1);
  await press('dismiss');
  await gone('problem');
});

test('Firefox: Chinese, and the second visit takes the weights from storage', { skip }, async (t) => {
  const { server, page, text, until } = await answered(t, { query: '?lang=zh' });
  assert.match(await text('glance'), /有篡改迹象/);
  assert.match(await text('spread'), /稳定/);
  const asked = server.weightsLog().length;
  await page.reload();
  await until(() => {
    const root = document.querySelector('facext-analyzer')?.shadowRoot;
    return !!root?.querySelector('[data-test="device"]') && !root.querySelector('[part="model"]');
  });
  assert.equal(server.weightsLog().length, asked);
  await page.setViewport({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} pixels too wide`);
  await page.screenshot({ path: join(OUT, 'firefox-390-zh.png') });
});
