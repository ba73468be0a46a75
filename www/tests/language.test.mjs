// Languages: the whole interface in Chinese and in a pseudo-language, answers of known forms in Chinese with the same masks, others marked as English.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OUT, answered, choose, drawnFace, ready, scene } from './harness.mjs';

const face = drawnFace();
const KNOWN = [['There are signs of forgery. The', null], [' left eyebrow', 0], [' and the', null], [' mouth', 1], [' lack fine detail. This fits an attribute edit.', null]];

/** Every text and spoken name that the page shows, each with where it stands. */
function texts(page) {
  return page.evaluate(() => {
    const out = [];
    const visit = (node) => {
      for (const child of node.childNodes) {
        if (child.nodeType === Node.TEXT_NODE && child.data.trim()) out.push([node.dataset?.test ?? node.className ?? node.nodeName, child.data.trim()]);
        if (child.nodeType !== Node.ELEMENT_NODE || child.matches('script, style, noscript')) continue;
        for (const name of ['aria-label', 'title', 'alt', 'placeholder']) if (child.getAttribute(name)) out.push([`${child.dataset.test ?? child.nodeName} ${name}`, child.getAttribute(name)]);
        visit(child);
        if (child.shadowRoot) visit(child.shadowRoot);
      }
    };
    visit(document.body);
    return out;
  });
}

async function everywhere(page, check) {
  check(await texts(page), 'first');
  await ready(page);
  await choose(page, face);
  await answered(page);
  check(await texts(page), 'answered');
  for (const tool of ['part', 'box', 'lasso', 'brush', 'eraser', 'pan']) {
    await page.locator(`[data-test="tool-${tool}"]`).click();
    check(await texts(page), tool);
  }
  await page.locator('[data-test="tool-box"]').click();
  await page.locator('canvas').press('ArrowDown');
  await page.locator('[data-test="ask"]').click();
  await page.locator('[data-test="result"][data-state="done"] >> nth=1').waitFor();
  check(await texts(page), 'asked');
  await choose(page, Buffer.from('no picture'), 'x.jpg');
  await page.locator('[data-test="problem"]').waitFor();
  check(await texts(page), 'problem');
}

test('in a pseudo-language every word of the page is one of its own words', async (t) => {
  const { page } = await scene(t, { query: '?lang=en-XA', server: { fake: { facts: [{ key: 'format', value: '1' }] } } });
  const seen = new Set();
  await everywhere(page, (list, when) => {
    for (const [where, text] of list) {
      seen.add(where);
      // What is not ours: the product, the language links, names and numbers, what the model and the engine say.
      if (/^(facext|English|中文|Language \/ 语言)$/.test(text) || /^[^A-Za-zÀ-ÿ]*$/.test(text)) continue;
      if (/^(phrase|answer|part|file|code|preview)$/.test(where) || /face\.png|^[0-9a-f]{64}$|^px$|^[A-Z]$/.test(text)) continue;
      // Our words in brackets; nothing but marks, numbers and names of the engine between them.
      let ours = text;
      for (let before = ''; before !== ours; ) [before, ours] = [ours, ours.replace(/\[[^[\]]*\]/g, '')];
      const rest = ours.replace(/\d+(\.\d+)? (kB|MB)/g, '').replace(/WebAssembly|image\.\w+|left eyebrow|mouth|x\.jpg/g, '');
      assert.doesNotMatch(rest, /[A-Za-z]{2}/, `${when}, ${where}: ${text}`);
    }
    assert.ok(list.length > 20);
  });
  assert.ok(seen.size > 30, `${seen.size} places`);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, 'longer words fit');
  await page.screenshot({ path: join(OUT, 'pseudo-1280.png'), fullPage: true });
  await page.setViewportSize({ width: 320, height: 700 });
  await page.screenshot({ path: join(OUT, 'pseudo-320.png'), fullPage: true });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, 'also on a small screen');
});

test('in Chinese nothing stays English but names and what is sent to the model', async (t) => {
  const { page } = await scene(t, { query: '?lang=zh', server: { fake: { answer: KNOWN, facts: [] } } });
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-Hans');
  assert.match(await page.title(), /检查/);
  await everywhere(page, (list, when) => {
    for (const [where, text] of list) {
      // What a report holds is the same in every language.
      if (where === 'preview') continue;
      const rest = text.replace(/facext|HTML|PNG|COCO|NASA|English|Language|JPEG|PNG|WebP|WebGPU|WebAssembly|SIMD|Shift|Ctrl|Alt|Esc|Enter|Delete|JSON|EXIF|XMP|GPS|C2PA|SHA-256|px|kB|MB|SIMD|face\.png|x\.jpg|image\.\w+|[0-9a-f]{64}/g, '');
      assert.doesNotMatch(rest, /[A-Za-z]{2}/, `${when}, ${where}: ${text}`);
    }
  });
});

test('an answer of a known form is Chinese with the same masks; the report stays as the engine made it', async (t) => {
  const { page, at } = await scene(t, { query: '?lang=zh', server: { fake: { answer: KNOWN } } });
  await ready(page);
  await choose(page, face);
  await answered(page);
  assert.equal((await at('answer').innerText()).replace(/[\s\d,，]|标记/g, ''), '发现了伪造迹象。左眉和嘴缺少细节。这符合局部编辑。');
  assert.equal(await at('answer').getAttribute('lang'), null);
  assert.deepEqual(await at('phrase').evaluateAll((list) => list.map((b) => b.dataset.mask)), ['0', '1']);
  await page.getByRole('button', { name: /标记 1, 左眉\s?: 占面部的 \d+ % · 轮廓清晰/ }).waitFor();
  await page.screenshot({ path: join(OUT, 'zh-1280.png'), fullPage: true });
  const waiting = page.waitForEvent('download');
  await at('save').click();
  const report = JSON.parse(readFileSync(await (await waiting).path()));
  assert.equal(report.faces[0].answer, KNOWN.map(([text]) => text).join(''));
});

test('an answer of another form stays English, says so, and is marked for screen readers', async (t) => {
  const { page, at } = await scene(t, { query: '?lang=zh' });
  await ready(page);
  await choose(page, face);
  await answered(page);
  assert.equal(await at('answer').getAttribute('lang'), 'en');
  assert.match(await at('answer').innerText(), /has a blurred lower edge/);
  assert.match(await at('english').innerText(), /英文/);
});

test('the element follows its lang attribute, and the page the address, then the browser', async (t) => {
  const { page, browser, server } = await scene(t, { browser: { locale: 'zh-CN' } });
  assert.match(await page.locator('[data-test="pick"]').innerText(), /选择照片/);
  await page.evaluate(() => document.querySelector('facext-analyzer').setAttribute('lang', 'en'));
  await page.locator('[data-test="pick"]', { hasText: 'Choose a photo' }).waitFor();
  const other = await browser.page(`${server.url}?lang=en&device=cpu`);
  assert.match(await other.locator('[data-test="pick"]').innerText(), /Choose a photo/);
  await other.getByRole('link', { name: '中文' }).click();
  await other.locator('[data-test="pick"]', { hasText: '选择照片' }).waitFor();
  assert.match(other.url(), /device=cpu/, 'the other parameters stay');
  await other.goto(`${server.url}?lang=xx`);
  assert.match(await other.locator('[data-test="pick"]').innerText(), /Choose a photo/, 'an unknown one is English');
});
