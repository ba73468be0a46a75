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

test('the engine without WebGPU is fetched where there is no adapter, or only a slow one that nobody asked for', async (t) => {
  const { engineFor } = await load('choice.ts');
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  t.after(() => (before ? Object.defineProperty(globalThis, 'navigator', before) : delete globalThis.navigator));
  const choices = async (gpu) => {
    Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
    return Promise.all(['auto', 'gpu', 'cpu'].map(engineFor));
  };
  const offers = (adapter) => ({ requestAdapter: async () => adapter });
  assert.deepEqual(await choices(undefined), ['cpu', 'cpu', 'cpu']);
  assert.deepEqual(await choices(offers(null)), ['cpu', 'cpu', 'cpu']);
  assert.deepEqual(await choices(offers({ info: {} })), ['full', 'full', 'cpu']);
  assert.deepEqual(await choices(offers({ info: { isFallbackAdapter: true } })), ['cpu', 'full', 'cpu']);
  assert.deepEqual(await choices(offers({ isFallbackAdapter: true })), ['cpu', 'full', 'cpu']);
  assert.deepEqual(await choices({ requestAdapter: async () => Promise.reject(new Error('no')) }), ['cpu', 'cpu', 'cpu']);
});

test('a session keeps to its engine, and asks for another only where that one cannot do what is wished', async () => {
  const { Session } = await load('session.ts');
  const calls = [];
  class FakeWorker {
    postMessage(call) {
      calls.push(call);
      const program = call.args?.program ?? { engine: call.args?.device === 'gpu' ? 'full' : 'cpu' };
      const value = call.type === 'prepare' ? { device: {}, total: 0, missing: 0, manifest: '{}', program } : { device: {}, regions: [] };
      setTimeout(() => this.onmessage?.({ data: { id: call.id, type: 'done', value } }));
    }
    terminate() {}
  }
  const session = new Session({ spawn: () => new FakeWorker(), wasm: { full: 'f', cpu: 'c' }, weightsBase: 'w', device: 'auto' });
  const kept = async (device) => {
    if (device) session.useDevice(device);
    await session.load();
    return calls.findLast((c) => c.type === 'prepare').args.program?.engine;
  };
  assert.equal(await kept(), undefined, 'the first is chosen');
  assert.deepEqual(calls.findLast((c) => c.type === 'warm'), { id: 0, type: 'warm', engine: 'cpu' }, 'its script is there for a replacement');
  assert.equal(await kept('cpu'), 'cpu');
  assert.equal(await kept('gpu'), undefined, 'an engine without WebGPU cannot do that');
  assert.equal(await kept('cpu'), 'full', 'one with it can do both');
  assert.equal(await kept('auto'), 'full');
  session.dispose();
});

test('a memory that can be shared is put into a wasm, its data apart, and broken files are refused', async () => {
  const { withSharedMemory, memoryOf } = await load('shared-memory.ts');
  // (import "a" "f" (func)), (memory (export "m") 2), a function that stores 7 at 8, data "hi" at 70000.
  const wasm = Uint8Array.of(
    0, 97, 115, 109, 1, 0, 0, 0, // magic, version
    1, 4, 1, 0x60, 0, 0, // types
    2, 7, 1, 1, 97, 1, 102, 0, 0, // imports
    3, 2, 1, 0, // functions
    5, 3, 1, 0, 2, // memory
    7, 9, 2, 1, 109, 2, 0, 1, 103, 0, 1, // exports
    10, 11, 1, 9, 0, 0x41, 8, 0x41, 7, 0x36, 2, 0, 0x0b, // code
    11, 10, 1, 0, 0x41, 0xf0, 0xa2, 4, 0x0b, 2, 104, 105, // data
  );
  const { bytes, ...shared } = withSharedMemory(wasm);
  assert.deepEqual([shared.pages, shared.data], [2, [{ at: 70000, bytes: Uint8Array.of(104, 105) }]]);
  const memory = memoryOf(shared);
  assert.ok(memory.buffer instanceof SharedArrayBuffer);
  const module = await WebAssembly.compile(bytes);
  // Twice, as an owner and a helper do: what one writes the other sees, and data is not written again.
  new Uint8Array(memory.buffer)[70000] = 72;
  const { exports } = await WebAssembly.instantiate(module, { a: { f() {} }, facext: { memory } });
  exports.g();
  await WebAssembly.instantiate(module, { a: { f() {} }, facext: { memory } });
  assert.deepEqual([...new Uint8Array(memory.buffer, 70000, 2)], [72, 105]);
  assert.equal(new Int32Array(memory.buffer)[2], 7);
  // Whatever is cut off or changed: an error or a module that the engine checks, never a hang.
  for (let at = 0; at < wasm.length; at++) {
    for (const broken of [wasm.slice(0, at), wasm.map((b, i) => (i === at ? b ^ 0xff : b))]) {
      try {
        withSharedMemory(broken);
      } catch (thrown) {
        assert.ok(thrown instanceof RangeError || thrown instanceof TypeError, String(thrown));
      }
    }
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
  const { en } = await load('words-en.ts');
  const { zh } = await load('words-zh.ts');
  const rust = readFileSync(source, 'utf8');
  const codes = [...rust.matchAll(/"([a-z]+\.[a-z_]+|cancelled)"/g)].map((m) => m[1]);
  for (const block of rust.matchAll(/^\s+\w+Fault, "(\w+)" \{\n([\s\S]*?)^\s+\}/gm)) {
    for (const fault of block[2].matchAll(/= "(\w+)"/g)) codes.push(`${block[1]}.${fault[1]}`);
  }
  assert.ok(codes.length >= 20, `found only ${codes.length} codes: did error.rs change its form?`);
  for (const code of codes) for (const words of [en, zh]) assert.ok(words.errors[code]?.title, `no words for ${code}`);
});

test('every reason and warning of the crate has words on the page', async (t) => {
  const source = (name) => readFileSync(join(WWW, '../src', name), 'utf8');
  if (!existsSync(join(WWW, '../src/face/mod.rs'))) return t.skip('skipped: src/ is not here');
  const { en } = await load('words-en.ts');
  const face = source('face/mod.rs');
  const reasons = [...face.matchAll(/Self::\w+ => "(\w+)"/g)].map((m) => m[1]);
  assert.deepEqual(reasons.sort(), Object.keys(en.noFace).sort());
  const of = (text, pattern) => [...text.matchAll(pattern)].map((m) => m[1]);
  const warnings = [...of(face, /const [A-Z]+: &'static str = "(face_\w+)"/g), ...of(source('analyze/answer.rs'), /pub const [A-Z]+: &str = "(\w+)"/g)];
  assert.ok(warnings.length >= 5, `found only ${warnings}`);
  for (const code of warnings) assert.ok(en.warnings[code], `no words for ${code}`);
});

test('every way of saving a face again has words on the page, which counts them rightly', async (t) => {
  const source = join(WWW, '../src/analyze/spread.rs');
  if (!existsSync(source)) return t.skip('skipped: src/analyze/spread.rs is not here');
  const rust = readFileSync(source, 'utf8');
  const schema = JSON.parse(readFileSync(join(WWW, '../docs/report.schema.json'), 'utf8'));
  const names = schema.$defs.spread.properties.tried.items.properties.how.enum;
  assert.equal(Number(/pub const ALL: \[Self; (\d+)\]/.exec(rust)[1]), names.length);
  assert.equal(Number(/const TRIALS = (\d+);/.exec(readFileSync(join(WWW, 'src/view-spread.ts'), 'utf8'))[1]), names.length);
  for (const { how } of [(await load('words-en.ts')).en.spread, (await load('words-zh.ts')).zh.spread]) assert.deepEqual(Object.keys(how), names);
});

test('both languages say the same things: same keys, same numbers of lines, nothing empty in one of them only', async () => {
  const { en } = await load('words-en.ts');
  // What is measured is said in Chinese by the file that comes with the answers.
  const [{ zh: first }, { measured }] = [await load('words-zh.ts'), await load('explain-zh.ts')];
  const zh = { ...first, measured };
  const shape = (value) => {
    if (typeof value === 'function') return `function of ${value.length}`;
    if (Array.isArray(value)) return value.map(shape);
    if (typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shape(item)]));
    return value === '' ? 'empty' : 'text';
  };
  assert.deepEqual(shape(zh), shape(en));
  for (const key of Object.keys(en.tools)) assert.equal(zh.tools[key].key, en.tools[key].key);
  for (const [task, sets] of Object.entries(en.suggested)) {
    for (const set of ['face', 'region']) sets[set].forEach(([, sent], i) => assert.equal(zh.suggested[task][set][i][1], sent, 'the same question is sent'));
  }
});

test('every fact about a file that the crate can tell has words on the page', async (t) => {
  const source = join(WWW, '../src/image/facts.rs');
  if (!existsSync(source)) return t.skip('skipped: src/ is not here');
  const { en } = await load('words-en.ts');
  const keys = [...readFileSync(source, 'utf8').matchAll(/^\s+\("([a-z0-9_.]+)", /gm)].map((m) => m[1]);
  assert.ok(keys.length >= 10, `found only ${keys}`);
  for (const key of keys) assert.ok(en.facts[key], `no words for ${key}`);
});

test('masks are encoded as pycocotools does, and on a finer photo each pixel has its cell', async () => {
  const { encode, rasterise, area } = await load('rle.ts');
  for (const { name, rle } of JSON.parse(readFileSync(join(WWW, 'tests/fixtures/rle.json'), 'utf8'))) {
    const [h, w] = rle.size;
    assert.deepEqual(encode(rasterise(rle, w, h), w, h), rle, name);
  }
  const coarse = { width: 3, height: 2, data: Uint8Array.from([0, 1, 0, 1, 1, 0]) };
  const fine = encode(coarse, 3000, 2000);
  assert.equal(area(fine), 3 * 1e6);
  assert.deepEqual([...rasterise(fine, 3, 2).data], [...coarse.data]);
});

test('numbers of masks stand beside their mask, on the canvas, and not on one another', async () => {
  const { numberPlaces } = await load('overlay-draw.ts');
  const size = [800, 600];
  const [alone] = numberPlaces([[100, 100, 50, 40]], size, 2, 1);
  assert.ok(alone[0] < 200 && alone[1] < 200, 'the upper left corner');
  const same = [[100, 100, 50, 40], [101, 99, 50, 40], [100, 100, 49, 41], [99, 100, 50, 40], [100, 101, 50, 40]];
  const places = numberPlaces(same, size, 2, 1);
  assert.deepEqual(places[0], alone);
  const apart = (list) => Math.min(...list.flatMap(([x, y], i) => list.slice(i + 1).map(([u, v]) => Math.hypot(x - u, y - v))));
  assert.ok(apart(places.slice(0, 4)) >= 18, `${places}`);
  for (const [x, y] of [...places, ...numberPlaces([[0, 0, 400, 300], [-9, -9, 500, 400]], size, 2, 1)]) {
    assert.ok(x >= 10 && y >= 10 && x <= 790 && y <= 590, `${x} ${y}`);
  }
});

test('undo and redo of a region: modes, a part chosen twice, many small steps as one', async () => {
  const { History } = await load('region.ts');
  const history = new History();
  const box = (x, mode = 'new') => ({ kind: 'box', box: [x, 0, 5, 5], mode });
  const part = (id, mode) => ({ kind: 'part', id, face: null, mode });
  history.push(part('nose', 'take'));
  assert.equal(history.marks.length, 0, 'nothing can be taken from nothing');
  history.push(box(1));
  history.push(box(2), true);
  history.push(box(3), true);
  history.push(part('nose', 'add'));
  assert.deepEqual(history.marks.map((m) => m.kind), ['box', 'part']);
  history.push(part('nose', 'add'));
  assert.deepEqual(history.marks.map((m) => m.kind), ['box'], 'chosen once more, it is let go');
  history.undo();
  history.undo();
  assert.deepEqual(history.marks, [box(3)]);
  assert.ok(history.undo() && !history.undo() && history.marks.length === 0, 'three steps by keyboard are one');
  assert.ok(history.redo() && history.redo());
  history.push(box(9));
  assert.deepEqual([history.marks.length, history.redo()], [1, false], 'a new mark ends what could be done again');
});

/** The Rust source of the answers' forms: [of one, of several] findings and whole sentences. */
function forms() {
  const read = (name) => readFileSync(join(WWW, '../src', name), 'utf8');
  const rust = read('text/wording.rs');
  const [recipes, words, kinds] = ['native/annotate/wording.rs', 'measure/words.rs', 'measure/kinds.rs'].map(read);
  const strings = (text) => [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((m) => m[1]);
  const part = (from, to) => rust.slice(rust.indexOf(from), rust.indexOf(to, rust.indexOf(from)));
  return {
    found: [...strings(part('pub const FOUND', ';\n')), ...strings(part('pub const POSSIBLE', ';\n'))], not: [...strings(part('pub const NOT_FOUND', ';\n')), ...strings(part('pub const NOT_CLEAR', ';\n'))], checked: strings(part('pub const CHECKED', '];')),
    findings: strings(recipes.slice(recipes.indexOf('pub fn finding'))), measured: strings(words.slice(words.indexOf('pub fn finding'), words.indexOf('#[cfg(test)]'))),
    doubts: strings(part('pub const DOUBT', '];')), perhaps: strings(part('pub const PERHAPS', '];')),
    traits: [...new Set(strings(kinds.slice(kinds.indexOf('pub fn word'), kinds.indexOf('on_pixels'))))], outside: strings(part('pub const OUTSIDE_ANSWER', '];')),
    sentences: [...strings(part('pub fn family_sentence', '/// Short')), ...strings(part('pub fn family_hint', '/// Whether'))].filter(Boolean),
  };
}

test('every form of answer that the model was taught has a Chinese form with the same masks in the same order', async (t) => {
  if (!existsSync(join(WWW, '../src/text/wording.rs'))) return t.skip('skipped: src/ is not here');
  const { explainZh } = await load('explain-zh.ts');
  const regions = [['left_eyebrow', 'left eyebrow', '左眉'], ['nose', 'nose', '鼻子'], ['under', 'skin under the right eye', '右眼下方']].map(([id, en, zh]) => ({ id, en, zh, parent: null }));
  const { found, not, checked, findings, sentences, measured, traits, outside, doubts, perhaps } = forms();
  assert.ok(found.length >= 4 && not.length >= 4 && checked.length >= 3 && findings.length >= 24 && sentences.length >= 8, 'did wording.rs change its form?');
  const latin = /[a-z]{2}/i;
  const say = (...pieces) => explainZh(pieces.map((p) => (Array.isArray(p) ? { text: p[0], mask: p[1] } : { text: p, mask: null })), regions);
  const plain = (text) => {
    const told = say(text);
    assert.ok(told, `not translated: ${text}`);
    assert.doesNotMatch(told.map((p) => p.text).join(''), latin, text);
  };
  for (const opening of found) for (const rest of ['.', ': the left eyebrow, the nose and the skin under the right eye.']) plain(opening + rest);
  for (const opening of not) for (const rest of ['.', ', so no technique is named.', ' in the nose.', ' in the marked box.', ' in the marked box on the skin under the right eye.', ...checked.map((c) => ` ${c}.`)]) plain(opening + rest);
  for (const sentence of [...sentences, ...outside]) plain(sentence);
  assert.ok(measured.length >= 60 && traits.length === 8 && outside.length >= 2 && doubts.length >= 1, 'did the measured forms change theirs?');
  for (const [i, form] of measured.entries()) plain(`The nose ${form} and ${measured[(i + 2) % measured.length]}.`);
  // As `talk/compose.rs` composes them.
  const what = `${traits.slice(0, -1).join(', ')} and ${traits.at(-1)}`;
  for (const of of ['the nose', 'the left eyebrow and the nose']) {
    plain(`In ${of} no single measurement stands out.`);
    plain(`The ${of.slice(4)} was changed, but nothing measured there stands out.`);
    plain(`The change of ${of} leaves nothing that can be measured.`);
    // As they are said where signs are only possible.
    assert.equal(perhaps.length, 4);
    plain(`The ${of.slice(4)} was${perhaps[1]} measured there stands out.`);
    plain(`${perhaps[3]} ${of} leaves nothing that can be measured.`);
    for (const form of doubts) plain(form.replace('{x}', of));
    for (const t of [what, 'grain']) {
      plain(`In ${t}, ${of} are as usual.`);
      plain(`Measured of ${of}: ${t}; nothing stands out.`);
      plain(`The ${t} of ${of} lie within what untouched photos show.`);
    }
  }
  for (const mixed of ['is bluer than its counterpart', 'are blurred compared to the skin around them', 'is blurred', 'is blurred and blurred compared to its border']) plain(`The nose ${mixed}.`);
  for (const finding of [...findings, ...measured]) {
    const told = say(`${found[0]}. The`, [' nose', 0], ', the', [' skin under the right eye', 1], ' and the', [' left eyebrow', 2], ` ${finding}. ${sentences[0]}`);
    assert.ok(told, `not translated: ${finding}`);
    assert.deepEqual(told.filter((p) => p.mask !== null), [{ text: '鼻子', mask: 0 }, { text: '右眼下方', mask: 1 }, { text: '左眉', mask: 2 }]);
    assert.doesNotMatch(told.map((p) => p.text).join(''), latin, finding);
  }
  for (const other of ['The nose winks.', 'The nose is bluer than the sky.', 'The nose is odd.', `${found[0]}. The elbow lacks fine detail.`, `${found[0]}`, '']) assert.equal(say(other), null, other);
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
