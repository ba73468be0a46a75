// Pure functions of the page, without a browser: run-length masks against pycocotools, the streaming reducer, the server's ranges, and
// that every error code of the Rust crate has words.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runnerImport } from 'vite';
import { parseRange } from '../serve.mjs';
import { WWW } from './harness.mjs';

const load = async (name) => (await runnerImport(join(WWW, 'src', name), { configFile: false, logLevel: 'error' })).module;

test('run-length masks decode as pycocotools encoded them', async () => {
  const { rasterise, area } = await load('rle.ts');
  for (const { name, rle, area: want, rows } of JSON.parse(readFileSync(join(WWW, 'tests/fixtures/rle.json'), 'utf8'))) {
    const [h, w] = rle.size;
    assert.equal(area(rle), want, name);
    const bits = Buffer.from(rows, 'hex');
    const { data } = rasterise(rle, w, h);
    for (let i = 0; i < w * h; i++) assert.equal(data[i], (bits[i >> 3] >> (7 - (i & 7))) & 1, `${name}: pixel ${i}`);
    // At another size the share of the area stays about the same.
    const double = rasterise(rle, w * 2, h * 2);
    assert.equal(double.data.reduce((a, b) => a + b, 0), want * 4, `${name}, doubled`);
  }
});

test('broken run-length strings end quietly', async () => {
  const { rasterise } = await load('rle.ts');
  for (const counts of ['', ' ', 'oooooooooooooooooooooooooooo', '\u{1f600}', '0000~~~~', 'PPPPPPPP']) {
    const { data } = rasterise({ size: [4, 4], counts }, 4, 4);
    assert.equal(data.length, 16);
    assert.ok(data.every((v) => v === 0 || v === 1));
  }
  assert.equal(rasterise({ size: [0, 0], counts: '1' }, 4, 4).data.length, 16);
});

test('a phrase whose words already streamed as text is not shown twice', async () => {
  const { applyEvent, newRun } = await load('run.ts');
  let run = newRun(1, { task: 'age' }, '', [[0, 0, 1, 1]]);
  for (const text of ['The ', 'left ', 'eyebrow ']) run = applyEvent(run, { type: 'text', face: 0, text });
  run = applyEvent(run, { type: 'phrase', face: 0, id: 0, text: 'left eyebrow' });
  assert.deepEqual(run.faces[0].pieces, [{ text: 'The ', mask: null }, { text: 'left eyebrow', mask: 0 }]);
  run = applyEvent(run, { type: 'phrase', face: 0, id: 1, text: 'mouth' });
  assert.deepEqual(run.faces[0].pieces.at(-1), { text: 'mouth', mask: 1 });
  assert.deepEqual(applyEvent(run, { type: 'restart' }).faces[0].pieces, []);
});

test('every code of the crate has words on the page', async (t) => {
  const source = join(WWW, '../src/error.rs');
  if (!existsSync(source)) return t.skip('skipped: src/error.rs is not here');
  const { ERRORS } = await load('words.ts');
  const rust = readFileSync(source, 'utf8');
  const codes = [...rust.matchAll(/"([a-z]+\.[a-z_]+|cancelled)"/g)].map((m) => m[1]);
  for (const block of rust.matchAll(/^\s+\w+Fault, "(\w+)" \{\n([\s\S]*?)^\s+\}/gm)) {
    for (const fault of block[2].matchAll(/= "(\w+)"/g)) codes.push(`${block[1]}.${fault[1]}`);
  }
  assert.ok(codes.length >= 20, `found only ${codes.length} codes: did error.rs change its form?`);
  for (const code of codes) assert.ok(ERRORS[code], `no words for ${code}`);
});

test('byte ranges', () => {
  assert.deepEqual(parseRange('bytes=10-', 100), [10, 99]);
  assert.deepEqual(parseRange('bytes=10-19', 100), [10, 19]);
  assert.deepEqual(parseRange('bytes=-5', 100), [95, 99]);
  assert.deepEqual(parseRange('bytes=10-500', 100), [10, 99]);
  assert.equal(parseRange('bytes=100-', 100), 'bad');
  assert.equal(parseRange('bytes=', 100), null);
  assert.equal(parseRange(undefined, 100), null);
});
