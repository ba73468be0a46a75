// Milliseconds by stage in Chromium, one wasm thread, with the built page and the shipped weights; and what a first visit downloads.
//
//   node tests/bench.mjs [--json FILE]     FACEXT_DIST, FACEXT_PHOTO, FACEXT_CACHE as in real.test.mjs; FACEXT_RUNS (default 3)
//
// The first run compiles the wasm's hot code, so the minimum is the figure of a second photo. Memory is the peak resident size of
// the renderer process that holds page and worker.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir, loadavg } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { WWW, startBrowser, startServer } from './harness.mjs';

const DIST = resolve(process.env.FACEXT_DIST ?? join(WWW, '../dist'));
const PHOTO = resolve(process.env.FACEXT_PHOTO ?? join(process.env.FACEXT_CACHE ?? join(homedir(), '.cache/facext'), 'samples/astronaut.png'));
const RUNS = Number(process.env.FACEXT_RUNS ?? 3);

const server = await startServer({ root: DIST });
const browser = await startBrowser(server);
try {
  const page = await browser.page(`${server.url}?device=cpu`);
  page.setDefaultTimeout(600_000);
  const begun = performance.now();
  await page.locator('[data-test="download"]').click();
  await page.locator('[part="model"]').waitFor({ state: 'detached' });
  const loadMs = Math.round(performance.now() - begun);
  const firstLoad = server.log.reduce((sum, e) => sum + e.sent, 0);
  const reports = [];
  for (let run = 0; run < RUNS; run++) {
    // A few bytes behind the picture's end make it another file each time: the page keeps the answers about a photo that it knows.
    const name = `${run}-${basename(PHOTO)}`;
    const buffer = Buffer.concat([readFileSync(PHOTO), Buffer.alloc(run)]);
    await page.locator('input[type=file]').setInputFiles({ name, mimeType: 'image/png', buffer });
    await page.waitForFunction((name) => document.querySelector('facext-analyzer')?.shadowRoot?.textContent?.includes(name) ?? false, name);
    await page.locator('[data-test="save"]').first().waitFor();
    const download = page.waitForEvent('download');
    await page.locator('[data-test="save"]').first().click();
    const report = JSON.parse(readFileSync(await (await download).path(), 'utf8'));
    if (report.file.bytes !== buffer.length) throw new Error(`this is the report of a file of ${report.file.bytes} bytes`);
    reports.push(report);
  }
  const stages = {};
  for (const report of reports) {
    const t = report.timings_ms;
    for (const [name, ms] of Object.entries({ ...t, ...(t.tokens ? { per_token: t.generate / t.tokens } : {}) })) (stages[name] ??= []).push(ms);
  }
  const rows = Object.entries(stages).map(([stage, all]) => {
    all.sort((a, b) => a - b);
    return { stage, min_ms: round(all[0]), median_ms: round(all[Math.floor(all.length / 2)]) };
  });
  for (const r of rows) console.log(`${r.stage.padStart(10)}  min ${String(r.min_ms).padStart(9)}  median ${String(r.median_ms).padStart(9)}${r.stage === 'tokens' ? '' : ' ms'}`);
  const code = readdirSync(join(DIST, 'assets')).map((name) => readFileSync(join(DIST, 'assets', name)));
  const sum = (size) => code.reduce((total, data) => total + size(data), 0);
  const bytes = {
    first_load: firstLoad,
    code_raw: sum((d) => d.length),
    code_gzip: sum((d) => gzipSync(d, { level: 6 }).length),
    code_brotli: sum((d) => brotliCompressSync(d, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }).length),
  };
  console.log(`first load ${mb(bytes.first_load)} (code: ${mb(bytes.code_raw)}, gzip ${mb(bytes.code_gzip)}, brotli ${mb(bytes.code_brotli)}); page to ready ${loadMs} ms on loopback`);
  const peak = memory();
  console.log(peak ? `largest renderer process ${peak} MiB at its peak` : 'peak memory: not measured (no /proc)');
  console.log(`load average ${loadavg().map((v) => v.toFixed(1)).join(' ')}`);
  const json = process.argv.indexOf('--json');
  if (json > 0) writeFileSync(process.argv[json + 1], JSON.stringify({ runs: RUNS, stages: rows, bytes, load_ms: loadMs, peak_mib: peak, loadavg: loadavg() }, null, 2));
} finally {
  await browser.close();
  await server.close();
}

function round(v) {
  return Math.round(v * 10) / 10;
}

function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Peak resident size of our browser's largest renderer process, MiB, from /proc; null where there is none. */
function memory() {
  let peak = null;
  if (!existsSync('/proc/self/stat')) return peak;
  const parent = (pid) => Number(/^.*\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))[1]);
  for (const pid of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) continue;
      // Another browser may run beside ours: ours descends from this process.
      let up = Number(pid);
      while (up > 1 && up !== process.pid) up = parent(up);
      if (up !== process.pid) continue;
      const line = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      if (line) peak = Math.max(peak ?? 0, Math.round(Number(line[1]) / 1024));
    } catch {
      // The process has ended meanwhile.
    }
  }
  return peak;
}
