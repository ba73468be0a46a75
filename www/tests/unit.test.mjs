// Pure functions of the page, without a browser: run-length masks against pycocotools, the streaming reducer, the server's ranges, and
// that every error code of the Rust crate has words.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
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

test('a phrase that comes in pieces is one phrase', async () => {
  const { applyEvent, newRun } = await load('run.ts');
  let run = newRun(1, { task: 'age' }, '', [[0, 0, 1, 1]]);
  for (const text of ['The ', 'soft ']) run = applyEvent(run, { type: 'text', face: 0, text });
  for (const text of ['left ', 'eyebrow']) run = applyEvent(run, { type: 'phrase', face: 0, id: 0, text });
  for (const text of ['nose']) run = applyEvent(run, { type: 'phrase', face: 0, id: 1, text });
  assert.deepEqual(run.faces[0].pieces, [{ text: 'The soft ', mask: null }, { text: 'left eyebrow', mask: 0 }, { text: 'nose', mask: 1 }]);
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

test('every reason and warning of the crate has words on the page', async (t) => {
  const source = (name) => readFileSync(join(WWW, '../src', name), 'utf8');
  if (!existsSync(join(WWW, '../src/face/mod.rs'))) return t.skip('skipped: src/ is not here');
  const { NO_FACE, WARNINGS } = await load('words.ts');
  const face = source('face/mod.rs');
  const reasons = [...face.matchAll(/Self::\w+ => "(\w+)"/g)].map((m) => m[1]);
  assert.deepEqual(reasons.sort(), Object.keys(NO_FACE).sort());
  const of = (text, pattern) => [...text.matchAll(pattern)].map((m) => m[1]);
  const warnings = [...of(face, /const [A-Z]+: &'static str = "(face_\w+)"/g), ...of(source('analyze/answer.rs'), /pub const [A-Z]+: &str = "(\w+)"/g)];
  assert.ok(warnings.length >= 5, `found only ${warnings}`);
  for (const code of warnings) assert.ok(WARNINGS[code], `no words for ${code}`);
});

test('the wasm is unzipped where it is zipped, whatever the server did with it', async () => {
  const { unzipped } = await load('unzip.ts');
  const plain = new Uint8Array([0, 0x61, 0x73, 0x6d, ...Buffer.from('wasm'.repeat(5000))]);
  const zipped = new Uint8Array(gzipSync(plain));
  const stream = (bytes, size) => new ReadableStream({
    start(to) {
      for (let at = 0; at < bytes.length; at += size) to.enqueue(bytes.slice(at, at + size));
      to.close();
    },
  });
  const read = async (bytes, size) => new Uint8Array(await new Response(await unzipped(stream(bytes, size))).arrayBuffer());
  for (const size of [1, 2, 1000, 1e6]) {
    assert.deepEqual(await read(zipped, size), plain, `zipped, ${size}`);
    assert.deepEqual(await read(plain, size), plain, `plain, ${size}`);
  }
  for (const few of [[], [0x1f], [7]]) assert.deepEqual([...(await read(new Uint8Array(few), 1))], few);
  await assert.rejects(read(zipped.slice(0, -9), 100));
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

test('the static server: types, ranges, revalidation, a sub-path, and no way out of its directory', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'facext-serve-'));
  writeFileSync(join(root, 'index.html'), '<p>hello');
  writeFileSync(join(root, 'a.wasm'), Buffer.from('0123456789'));
  symlinkSync('/etc/hostname', join(root, 'link.txt'));
  const child = spawn(process.execPath, [join(WWW, 'serve.mjs'), root, '0', '--base', 'sub']);
  t.after(() => child.kill());
  const url = await new Promise((done) => child.stdout.once('data', (d) => done(String(d).trim())));
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/sub\/$/);
  const page = await fetch(url);
  assert.match(page.headers.get('content-type'), /text\/html/);
  const etag = page.headers.get('etag');
  assert.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304);
  const part = await fetch(`${url}a.wasm`, { headers: { range: 'bytes=4-6' } });
  assert.deepEqual([part.status, await part.text(), part.headers.get('content-range'), part.headers.get('content-type')], [206, '456', 'bytes 4-6/10', 'application/wasm']);
  assert.equal((await fetch(`${url}a.wasm`, { headers: { range: 'bytes=10-' } })).status, 416);
  for (const path of ['link.txt', '%2e%2e/%2e%2e/etc/hostname', '..%2fserve.mjs', 'none']) assert.equal((await fetch(url + path)).status, 404, path);
  assert.equal((await fetch(new URL('/index.html', url))).status, 404);
  assert.equal((await fetch(url, { method: 'POST' })).status, 405);
});
