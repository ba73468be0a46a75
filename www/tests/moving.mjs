// Makes the moving picture of the README: a real run of the page on a photo, frame by frame, as an animated WebP.
//
//   node tests/moving.mjs PHOTO OUT.webp     FACEXT_DIST as in real.test.mjs; needs img2webp (Debian: webp)
//
// Upload, the answer with its masks, a phrase and the line between before and after, a region by name and its answer. Waits are cut: a frame
// is taken when something has changed, and its time on the screen is chosen for reading.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { modelReady, startBrowser, startServer, WWW } from './harness.mjs';

const [photo, out] = process.argv.slice(2);
const dir = process.env.FACEXT_FRAMES ?? mkdtempSync(join(tmpdir(), 'facext-frames-'));
const server = await startServer({ root: resolve(process.env.FACEXT_DIST ?? join(WWW, '../dist')) });
const browser = await startBrowser(server, { viewport: { width: 1000, height: 720 }, colorScheme: 'light', reducedMotion: 'reduce' });
const frames = [];
try {
  const page = await browser.page(`${server.url}?device=cpu&lang=en`);
  page.setDefaultTimeout(600_000);
  const at = (name) => page.locator(`[data-test="${name}"]`);
  const take = async (ms) => {
    const path = join(dir, `${String(frames.length).padStart(3, '0')}.png`);
    await page.screenshot({ path });
    frames.push([path, ms]);
  };
  await at('download').click();
  await modelReady(page);
  await take(1200);
  await page.locator('input[type=file]').setInputFiles({ name: basename(photo), mimeType: 'image/png', buffer: readFileSync(photo) });
  await at('stage').waitFor();
  // While it works: one frame for each change of what is written.
  for (let last = ''; !(await at('save').count()); ) {
    const now = await page.evaluate(() => {
      const root = document.querySelector('facext-analyzer').shadowRoot;
      return ['stage', 'answer', 'band'].map((name) => root.querySelector(`[data-test="${name}"]`)?.textContent ?? '').join('|');
    });
    if (now !== last) await take(now.split('|')[0] === last.split('|')[0] ? 90 : 350);
    last = now;
    await page.waitForTimeout(60);
  }
  await take(1800);
  await at('spread').first().waitFor();
  await take(1800);
  await at('zoom').evaluate((button) => button.click());
  await page.waitForTimeout(100);
  await take(1200);
  const phrase = at('phrase').first();
  if (await phrase.count()) {
    await phrase.hover();
    await page.waitForTimeout(100);
    await take(1500);
    await page.mouse.move(2, 2);
    await at('compare').click();
    await at('split').focus();
    // Over the face, as it lies on the photo.
    const [from, to] = await page.evaluate(() => {
      const { faces, file } = document.querySelector('facext-analyzer').photo;
      const [x, , w] = faces[0].box;
      return [x - w * 0.2, x + w * 1.2].map((at) => Math.round((at / file.width) * 50));
    });
    await page.keyboard.press('Home');
    for (let step = 0; step < to; step++) {
      await page.keyboard.press('ArrowRight');
      if (step >= from) await take(130);
    }
    await at('compare').click();
  }
  await at('tool-part').click();
  const where = await page.evaluate(() => {
    const element = document.querySelector('facext-analyzer');
    const frame = element.shadowRoot.querySelector('canvas').getBoundingClientRect();
    const [x, y, w, h] = element.photo.faces[0].box;
    const scale = frame.width / element.photo.file.width;
    return [[0.5, 0.55], [0.5, 0.72], [0.33, 0.42], [0.67, 0.42]].map(([a, b]) => [frame.left + (x + w * a) * scale, frame.top + (y + h * b) * scale]);
  });
  for (const point of where) {
    await page.mouse.move(...point);
    await page.waitForTimeout(80);
    await take(500);
  }
  await page.mouse.click(...where.at(-1));
  await page.waitForTimeout(100);
  await take(1000);
  // Without the page scrolling down to the button: the picture stays at the photo.
  await at('ask').evaluate((button) => button.click());
  await page.locator('[data-test="result"][data-state="done"] >> nth=1').waitFor();
  await page.mouse.move(2, 2);
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(100);
  await take(3500);
} finally {
  await browser.close();
  await server.close();
}
for (const quality of [70, 55, 40, 25]) {
  execFileSync('img2webp', ['-loop', '0', '-lossy', '-q', String(quality), '-m', '6', ...frames.flatMap(([path, ms]) => ['-d', String(ms), path]), '-o', out], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (statSync(out).size <= 1_500_000) break;
}
if (process.env.FACEXT_FRAMES) writeFileSync(join(dir, 'frames.json'), JSON.stringify(frames));
else rmSync(dir, { recursive: true, force: true });
console.log(`${out}: ${frames.length} frames, ${statSync(out).size} bytes`);
