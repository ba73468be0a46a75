// Milliseconds that a pointer move takes with each region tool, on a real photo with the real engine, wasm on one thread: from the event to
// the frame in which the preview is drawn. "Longest" is the slowest single move.
//
//   node tests/preview.mjs [--json FILE]     FACEXT_DIST, FACEXT_PHOTO, FACEXT_CACHE as in bench.mjs; FACEXT_MOVES (default 60)
import { readFileSync, writeFileSync } from 'node:fs';
import { homedir, loadavg } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { modelReady, startBrowser, startServer, WWW } from './harness.mjs';

const PHOTO = resolve(process.env.FACEXT_PHOTO ?? join(process.env.FACEXT_CACHE ?? join(homedir(), '.cache/facext'), 'samples/astronaut.png'));
const MOVES = Number(process.env.FACEXT_MOVES ?? 60);

const server = await startServer({ root: resolve(process.env.FACEXT_DIST ?? join(WWW, '../dist')) });
const browser = await startBrowser(server);
try {
  const page = await browser.page(`${server.url}?device=cpu`);
  page.setDefaultTimeout(600_000);
  await page.locator('[data-test="download"]').click();
  await modelReady(page);
  await page.locator('input[type=file]').setInputFiles({ name: basename(PHOTO), mimeType: 'image/png', buffer: readFileSync(PHOTO) });
  await page.locator('[data-test="save"]').first().waitFor();
  const rows = [];
  for (const tool of ['part', 'box', 'lasso', 'brush', 'eraser']) {
    await page.locator(`[data-test="tool-${tool}"]`).click();
    // A path over the face, as real pointer events; each waits for the frame after it.
    const times = await page.evaluate(async ([tool, moves]) => {
      const element = document.querySelector('facext-analyzer');
      const canvas = element.shadowRoot.querySelector('canvas');
      const { width: photo } = element.photo.file;
      const [x, y, w, h] = element.photo.faces[0].box;
      const frame = canvas.getBoundingClientRect();
      const scale = frame.width / photo;
      // A made-up pointer has no capture; the tools ask for one.
      canvas.setPointerCapture = () => {};
      const send = (type, i) => {
        const at = (i / moves) * Math.PI * 2;
        const clientX = frame.left + (x + w / 2 + w * 0.35 * Math.cos(at)) * scale;
        const clientY = frame.top + (y + h / 2 + h * 0.35 * Math.sin(at)) * scale;
        canvas.dispatchEvent(new PointerEvent(type, { bubbles: true, cancelable: true, pointerId: 1, pointerType: 'mouse', button: type === 'pointermove' ? -1 : 0, buttons: 1, clientX, clientY }));
      };
      const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      const out = [];
      if (tool !== 'part') send('pointerdown', 0);
      for (let i = 1; i <= moves; i++) {
        await drawn();
        const began = performance.now();
        send('pointermove', i);
        await drawn();
        out.push(performance.now() - began);
      }
      if (tool !== 'part') send('pointerup', moves);
      await drawn();
      return out;
    }, [tool, MOVES]);
    times.sort((a, b) => a - b);
    const row = { tool, median_ms: times[Math.floor(times.length / 2)], longest_ms: times.at(-1), moves: times.length };
    rows.push(row);
    console.log(`${tool.padEnd(7)} median ${row.median_ms.toFixed(1).padStart(6)} ms   longest ${row.longest_ms.toFixed(1).padStart(6)} ms   of ${row.moves} moves`);
  }
  console.log(`load average ${loadavg().map((v) => v.toFixed(1)).join(' ')}`);
  const json = process.argv.indexOf('--json');
  if (json > 0) writeFileSync(process.argv[json + 1], JSON.stringify(rows, null, 2));
} finally {
  await browser.close();
  await server.close();
}
