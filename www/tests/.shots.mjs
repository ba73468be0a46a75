import { readFileSync } from 'node:fs';
import { startServer, startBrowser, choose, ready } from './harness.mjs';
const photo = readFileSync('/work/cache-page/samples/astronaut.png');
const KNOWN = [['There are signs of forgery. The', null], [' left eyebrow', 0], [' and the', null], [' mouth', 1], [' lack fine detail. This fits an attribute edit.', null]];
const server = await startServer({ fake: { faces: [[0.34, 0.12, 0.2, 0.26]], answer: KNOWN } });
const browser = await startBrowser(server);
const page = await browser.page(server.url); await page.waitForFunction(() => document.querySelector('facext-analyzer')?.shadowRoot); await ready(page); await page.close();
const only = process.argv.slice(2);
for (const [w, h] of [[320, 640], [390, 844], [768, 1024], [1280, 900]]) for (const colorScheme of ['light', 'dark']) for (const lang of ['en', 'zh']) {
  if (only.length && !only.includes(`${w}-${colorScheme}-${lang}`)) continue;
  const v = await browser.context.newPage(); await v.setViewportSize({ width: w, height: h }); await v.emulateMedia({ colorScheme });
  await v.goto(`${server.url}?lang=${lang}`); await v.locator('[part="model"]').waitFor({ state: 'detached' });
  await choose(v, photo, 'astronaut.png'); await v.locator('[data-test="spread"]').waitFor();
  await v.screenshot({ path: `/tmp/shots/${w}-${colorScheme}-${lang}.png`, fullPage: w < 1000 });
  await v.close();
}
await browser.close(); await server.close();
