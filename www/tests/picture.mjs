// Makes the picture of the page that the README shows: the real engine, the shipped weights, a photo.
//
//   node tests/picture.mjs PHOTO OUT.png     FACEXT_DIST as in real.test.mjs
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { modelReady, startBrowser, startServer, WWW } from './harness.mjs';

const [photo, out] = process.argv.slice(2);
const server = await startServer({ root: resolve(process.env.FACEXT_DIST ?? join(WWW, '../dist')) });
const browser = await startBrowser(server, { viewport: { width: 1280, height: 900 } });
try {
  const page = await browser.page(`${server.url}?device=cpu`);
  page.setDefaultTimeout(300_000);
  await page.locator('[data-test="download"]').click();
  await modelReady(page);
  await page.locator('input[type=file]').setInputFiles({ name: basename(photo), mimeType: 'image/png', buffer: readFileSync(photo) });
  await page.locator('[data-test="save"]').first().waitFor();
  await page.locator('[data-test="spread"]').first().waitFor();
  await page.waitForTimeout(800);
  await page.screenshot({ path: out });
} finally {
  await browser.close();
  await server.close();
}
