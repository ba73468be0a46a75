// What Lighthouse says of the page, and how soon it can be used, before any weight is asked for.
//
//   node tests/lighthouse.mjs [--json FILE]     FACEXT_DIST (default ../dist), FACEXT_CHROMIUM; FACEXT_RUNS (default 3) for the times
//
// Times are those of this machine on loopback, without the throttling that Lighthouse can simulate; they depend on what else runs here.
import { writeFileSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import lighthouse from 'lighthouse';
import puppeteer from 'puppeteer-core';
import { CHROMIUM, FLAGS, WWW, startServer } from './harness.mjs';

/** Scores 0..1, and what failed; `formFactor` is `desktop` or `mobile`. */
export async function audit(url, { formFactor = 'desktop', timings = false } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'facext-lighthouse-'));
  const browser = await puppeteer.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS, userDataDir: profile });
  try {
    const page = await browser.newPage();
    const mobile = formFactor === 'mobile';
    const screenEmulation = mobile ? { mobile, width: 390, height: 844, deviceScaleFactor: 2, disabled: false } : { mobile, width: 1280, height: 900, deviceScaleFactor: 1, disabled: false };
    const flags = { logLevel: 'error', output: 'json', onlyCategories: ['accessibility', 'best-practices', ...(timings ? ['performance'] : [])] };
    const settings = { formFactor, screenEmulation, throttlingMethod: 'provided', maxWaitForLoad: 90_000 };
    const { lhr } = await lighthouse(url, flags, { extends: 'lighthouse:default', settings }, page);
    if (lhr.runtimeError) throw new Error(lhr.runtimeError.message);
    const failed = (category) => category.auditRefs.filter(({ id, weight }) => weight > 0 && lhr.audits[id].score !== null && lhr.audits[id].score < 1).map(({ id }) => id);
    const of = (id) => ({ score: lhr.categories[id].score, failed: failed(lhr.categories[id]) });
    const ms = (id) => Math.round(lhr.audits[id].numericValue);
    return {
      accessibility: of('accessibility'),
      bestPractices: of('best-practices'),
      ...(timings ? { firstPaintMs: ms('first-contentful-paint'), largestPaintMs: ms('largest-contentful-paint'), interactiveMs: ms('interactive') } : {}),
    };
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await startServer({ root: resolve(process.env.FACEXT_DIST ?? join(WWW, '../dist')) });
  const out = [];
  try {
    for (const formFactor of ['desktop', 'mobile']) {
      for (const lang of ['en', 'zh']) {
        const runs = [];
        for (let run = 0; run < Number(process.env.FACEXT_RUNS ?? 3); run++) runs.push(await audit(`${server.url}?lang=${lang}`, { formFactor, timings: true }));
        const middle = (key) => runs.map((run) => run[key]).sort((a, b) => a - b)[Math.floor(runs.length / 2)];
        const [first] = runs;
        const row = { formFactor, lang, accessibility: first.accessibility.score, bestPractices: first.bestPractices.score, firstPaintMs: middle('firstPaintMs'), largestPaintMs: middle('largestPaintMs'), interactiveMs: middle('interactiveMs') };
        out.push(row);
        console.log(`${formFactor.padEnd(8)} ${lang}  accessibility ${row.accessibility * 100}  best practices ${row.bestPractices * 100}  first paint ${row.firstPaintMs} ms, largest ${row.largestPaintMs} ms, interactive ${row.interactiveMs} ms`);
        for (const name of [...first.accessibility.failed, ...first.bestPractices.failed]) console.log(`         failed: ${name}`);
      }
    }
    console.log(`requests for weights: ${server.log.filter((e) => e.path?.endsWith('.safetensors')).length}; load average ${loadavg().map((v) => v.toFixed(1)).join(' ')}`);
    const json = process.argv.indexOf('--json');
    if (json > 0) writeFileSync(process.argv[json + 1], JSON.stringify(out, null, 2));
  } finally {
    await server.close();
  }
}
