// The benchmark: ours and the engine that people use today, side by side in one run; the shipped model in its page; the native program.
//
//   node run.mjs --state DIR --dist DIR --engine DIR --ort DIR --models DIR --bin FILE --weights DIR --photo FILE --gguf FILE
//                [--only part,part] [--json FILE] [--write] [--device gpu]
//
// Each part's rows are kept in DIR/results.json with their date, so that a run can be made in parts (`--only`) and the table still shows
// all of them. `--write` puts the table into BENCHMARKS.md and the plot into docs/. `./build.sh bench` knows the folders.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { besideLlama, onGpu, report } from './native.mjs';
import { base, heap, size, warm } from './product.mjs';
import { markdown, svg } from './report.mjs';
import { PARTS, sideBySide } from './sidebyside.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PLOT = 'docs/benchmarks.svg';
const text = { type: 'string' };
const { values: o } = parseArgs({
  options: {
    state: text, dist: text, engine: text, ort: text, models: text, bin: text, weights: text, photo: text, gguf: text,
    only: text, json: text, device: text, write: { type: 'boolean', default: false },
  },
});

if (o.device === 'gpu') {
  onGpu(o.bin, o.weights, o.photo);
  process.exit(0);
}

mkdirSync(o.state, { recursive: true });
const file = join(o.state, 'results.json');
const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { parts: {}, sizes: {} };
const log = (line) => console.error(`   ${line}`);
const folders = { models: o.models, engine: o.engine, ort: o.ort };

const parts = {
  size: () => size(o.dist, o.ort, log, results.sizes),
  ...Object.fromEntries(Object.keys(PARTS).filter((p) => p !== 'webgpu').map((part) => [part, () => sideBySide(part, folders, log)])),
  base: () => base(o.dist, o.photo, log),
  warm: () => warm(o.dist, log),
  heap: () => heap(o.dist, o.photo, log),
  native: () => report(o.bin, o.weights, o.photo, 'cpu', log),
  llama: () => besideLlama(o.bin, o.weights, o.gguf, join(o.state, 'llama'), log),
  webgpu: () => sideBySide('webgpu', folders, log),
};
const wanted = o.only?.split(',') ?? Object.keys(parts);
const unknown = wanted.find((name) => !parts[name]);
if (unknown !== undefined) {
  console.error(`no part is called ${unknown}: ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}

let failed = 0;
for (const name of wanted) {
  console.error(`== ${name}`);
  const begun = performance.now();
  try {
    const rows = await parts[name]();
    results.parts[name] = { date: new Date().toISOString(), load: loadavg()[0], rows };
    writeFileSync(file, JSON.stringify(results, null, 1));
  } catch (thrown) {
    failed++;
    console.error(`   failed: ${thrown?.stack ?? thrown}`);
  }
  log(`${((performance.now() - begun) / 1000).toFixed(0)} s, load average ${loadavg().map((v) => v.toFixed(1)).join(' ')}`);
}

// In the order of the parts, whenever each was run.
const done = Object.fromEntries(Object.keys(parts).filter((name) => results.parts[name]).map((name) => [name, results.parts[name]]));
console.log(markdown(done, o.write ? PLOT : null));
if (o.write) {
  writeFileSync(join(ROOT, 'BENCHMARKS.md'), markdown(done, PLOT));
  writeFileSync(join(ROOT, PLOT), svg(done));
}
if (o.json) writeFileSync(o.json, JSON.stringify(Object.values(done).flatMap((p) => p.rows), null, 1));
process.exit(failed ? 1 : 0);
