// A stand-in for the wasm engine, for tests of the page and the worker only: the same surface, no model.
//
// Honest where the page depends on it: it compiles and starts a real (empty) wasm module, verifies size and SHA-256 of each file and keeps
// nothing of a bad one, refuses to build with a file missing, probes WebGPU, reads the photo's size, and makes real COCO run-length masks.
// `fake` in the manifest says how it shall fail: see FAKE below. Its verdicts mean nothing.

/** Defaults of `manifest.fake`. */
const FAKE = {
  faces: [[0.3, 0.2, 0.4, 0.6]], // shares of the photo
  token_ms: 4, // pause after each token
  open_busy_ms: 0, // a photo that takes that long to open, in one call
  busy_ms: 0, // one call that blocks the worker's thread, in the middle
  crash: '', // 'panic' | 'silent' (uncaught, the promise never settles) | 'lost' (device.lost)
  build_fails: 0, // how many builds fail before one works
  crash_times: 0, // how many analyses crash before one works; remembered across workers
  band: 'signs',
  facts: [{ key: 'format', value: 'PNG, RGB' }, { key: 'software', value: '<b>Paint</b> 1.0' }], // of each photo
  spread: null, // bands of the savings; null: those of the answer
  spread_ms: 0, // pause before each of them
  spread_busy_ms: 0, // and a call that blocks the worker's thread
  warnings: [], // of each report
  answer: null, // spans [text, mask or null] instead of the usual ones
};

/** Leaves of the fake's concept tree as ellipses on the face box: centre and radii, shares of it. */
const LEAVES = { left_eyebrow: [0.3, 0.32, 0.17, 0.05], right_eyebrow: [0.7, 0.32, 0.17, 0.05], nose: [0.5, 0.55, 0.1, 0.15], mouth: [0.5, 0.77, 0.2, 0.08] };

/** What stands out at a mask, by its concept. */
const MEASURED = {
  left_eyebrow: [
    { measure: 'sharpness', value: -2.1, unit: 'octaves', median: 0.3, spread: 0.5 },
    { measure: 'blue', value: 18, unit: 'levels', median: 2, spread: 4 },
  ],
};

const fault = (code, detail) => ({ code, detail });
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const hex = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, '0')).join('');
const sha256 = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));

export default async function init({ module_or_path }) {
  await WebAssembly.instantiate(module_or_path, {});
}

/** The stand-in has one thread. */
export function helpers() {}

export class Engine {
  #manifest;
  #fake;
  #device;
  #files = new Map();
  #built = false;
  #photo = null;
  #cancelled = false;

  static async create(text, device) {
    const engine = new Engine();
    try {
      engine.#manifest = JSON.parse(text);
    } catch (error) {
      throw fault('weights.manifest', error.message);
    }
    engine.#fake = { ...FAKE, ...engine.#manifest.fake };
    engine.#device = await probe(device);
    return engine;
  }

  device() {
    return this.#device;
  }

  files() {
    return this.#manifest.files.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 }));
  }

  async add_file(name, bytes) {
    const entry = this.#manifest.files.find((f) => f.name === name);
    if (!entry) throw fault('weights.missing_shard', name);
    if (bytes.byteLength !== entry.bytes) throw fault('weights.size', `${name}: ${bytes.byteLength} of ${entry.bytes} bytes`);
    const found = await sha256(bytes);
    if (found !== entry.sha256) throw fault('weights.hash', `${name}: ${found.slice(0, 12)}`);
    this.#files.set(name, bytes.byteLength);
  }

  async build() {
    for (const { name } of this.#manifest.files) if (!this.#files.has(name)) throw fault('weights.missing_shard', name);
    await wait(this.#fake.build_ms ?? 10);
    if (this.#fake.build_fails > 0 && (await counter()) < this.#fake.build_fails) throw fault('weights.format', 'asked for by the test');
    this.#built = true;
  }

  async open(bytes, name) {
    if (!this.#built) throw fault('model.failed', 'not built');
    if (bytes.length === 0) throw fault('image.empty', name);
    const head = String.fromCharCode(...bytes.slice(0, 4));
    if (!(head.startsWith('\x89PNG') || head.startsWith('\xff\xd8') || head === 'RIFF')) throw fault('image.not_an_image', name);
    let bitmap;
    try {
      bitmap = await createImageBitmap(new Blob([bytes]));
    } catch {
      throw fault('image.truncated', name);
    }
    const { width, height } = bitmap;
    block(this.#fake.open_busy_ms);
    bitmap.close();
    const none = name.includes('cat');
    const faces = none ? [] : this.#fake.faces.map((f) => ({ box: [f[0] * width, f[1] * height, f[2] * width, f[3] * height].map(Math.round) }));
    const file = { name, bytes: bytes.length, sha256: await sha256(bytes), width, height, orientation: 1 };
    this.#photo = { status: none ? 'no_usable_face' : 'ok', reason: none ? 'none' : null, file, faces, facts: none ? [] : this.#fake.facts, warnings: [] };
    return structuredClone(this.#photo);
  }

  stopper() {
    return { stop: () => (this.#cancelled = true) };
  }

  async analyze(request, emit) {
    if (!this.#photo) throw fault('request.bad', 'no photo');
    this.#cancelled = false;
    const started = performance.now();
    const { width, height } = this.#photo.file;
    const faces = [];
    for (const [index, { box }] of this.#photo.faces.entries()) {
      if (request.face !== undefined && request.face !== index) continue;
      for (const stage of ['encode', 'evidence', 'prefill']) await this.#pause(() => emit({ type: 'stage', stage, face: index }));
      const verdict = { score: 0.71, band: this.#fake.band, family: 'attribute_edit' };
      emit({ type: 'verdict', face: index, ...verdict });
      await this.#maybeCrash();
      block(this.#fake.busy_ms);
      emit({ type: 'stage', stage: 'generate', face: index });
      const where = request.box ? `the box ${request.box.join(', ')}` : (request.region ?? 'the face');
      const asked = request.mask ? `a drawing of ${request.mask.counts.length} characters` : where;
      const spans = this.#fake.answer?.map(([text, mask]) => ({ text, mask: request.task === 'toe' ? null : mask })) ?? [
        ...(request.question ? [{ text: `You asked: ${request.question} `, mask: null }] : []),
        { text: `About ${asked}: the `, mask: null },
        { text: 'left eyebrow', mask: request.task === 'toe' ? null : 0 },
        { text: ' has a blurred lower edge, and the ', mask: null },
        { text: 'mouth', mask: request.task === 'toe' ? null : 1 },
        { text: ' is lit from another side than the rest of the skin.', mask: null },
      ];
      // A phrase comes in pieces, like all text.
      const text = request.task === 'loc' ? spans.filter((s) => s.mask !== null) : spans;
      for (const span of text) {
        for (const text of span.text.match(/\s*\S+\s*/g)) {
          await this.#pause(() => emit(span.mask === null ? { type: 'text', face: index, text } : { type: 'phrase', face: index, id: span.mask, text }));
        }
      }
      emit({ type: 'stage', stage: 'masks', face: index });
      const [x, y, w, h] = box;
      const masks = request.task === 'toe' ? [] : [
        ellipse(width, height, x + w * 0.3, y + h * 0.32, w * 0.17, h * 0.05, 0.72, 'left_eyebrow'),
        ellipse(width, height, x + w * 0.5, y + h * 0.77, w * 0.2, h * 0.08, 0.31, 'mouth'),
      ];
      masks.forEach((mask, id) => emit({ type: 'mask', face: index, id, mask }));
      faces.push({ box, ...verdict, answer: text.map((s) => s.text).join(''), spans: text, masks });
    }
    return {
      status: this.#photo.status, reason: this.#photo.reason, request, file: this.#photo.file, faces, warnings: this.#fake.warnings,
      program: { version: '0.0.0-fake', weights_sha256: '0'.repeat(64), device: this.#device.kind, preset: 'fake' },
      timings_ms: { total: performance.now() - started },
    };
  }

  async spread(report, emit) {
    if (!this.#photo || report.file.sha256 !== this.#photo.file.sha256) throw fault('request.bad', 'another photo');
    this.#cancelled = false;
    const wider = structuredClone(report);
    for (const face of wider.faces) {
      const index = this.#photo.faces.findIndex(({ box }) => box.every((v, i) => v === face.box[i]));
      emit({ type: 'stage', stage: 'spread', face: index });
      const tried = [];
      for (const [i, how] of ['jpeg_75', 'jpeg_50', 'half_size'].entries()) {
        block(this.#fake.spread_busy_ms);
        await wait(this.#fake.spread_ms);
        if (this.#cancelled) throw fault('cancelled', '');
        tried.push({ how, score: 0.7 - i / 100, band: this.#fake.spread?.[i] ?? face.band });
        emit({ type: 'trial', face: index, ...tried[i] });
      }
      face.spread = { low: 0.68, high: 0.71, tried };
      if (tried.some(({ band }) => band !== face.band)) {
        Object.assign(face, { band: 'inconclusive', family: 'none' });
        wider.warnings = [...new Set([...wider.warnings, 'spread_crosses_bands'])];
      }
    }
    return wider;
  }

  parts(face) {
    const found = this.#photo?.faces[face];
    if (!found) throw fault('request.bad', `there is no face ${face}`);
    const [x, y, w, h] = found.box;
    const size = 1.6 * Math.max(w, h);
    const square = [x + w / 2 - size / 2, y + h / 2 - size / 2, size, size];
    const side = 112;
    const labels = new Uint8Array(side * side).fill(255);
    for (let i = 0; i < labels.length; i++) {
      const at = [square[0] + ((i % side) + 0.5) * (size / side), square[1] + (Math.floor(i / side) + 0.5) * (size / side)];
      Object.values(LEAVES).forEach(([cx, cy, rx, ry], label) => {
        if (((at[0] - x) / w - cx) ** 2 / rx ** 2 + ((at[1] - y) / h - cy) ** 2 / ry ** 2 <= 1) labels[i] = label;
      });
    }
    return { box: square, side, leaves: Object.keys(LEAVES), labels };
  }

  regions() {
    return [
      { id: 'face', en: 'face', zh: '脸', parent: null }, { id: 'brows', en: 'eyebrows', zh: '眉', parent: 'face' },
      { id: 'left_eyebrow', en: 'left eyebrow', zh: '左眉', parent: 'brows' },
      { id: 'right_eyebrow', en: 'right eyebrow', zh: '右眉', parent: 'brows' }, { id: 'nose', en: 'nose', zh: '鼻', parent: 'face' },
      { id: 'mouth', en: 'mouth', zh: '嘴', parent: 'face' },
    ];
  }

  async #pause(emit) {
    if (this.#cancelled) throw fault('cancelled', '');
    emit();
    await wait(this.#fake.token_ms);
    if (this.#cancelled) throw fault('cancelled', '');
  }

  async #maybeCrash() {
    if (!this.#fake.crash) return;
    const before = await counter();
    if (before >= this.#fake.crash_times) return;
    if (this.#fake.crash === 'lost') throw fault('device.lost', 'asked for by the test');
    // What a Rust panic looks like from JavaScript: a message on the console, then a trap.
    console.error('panicked at fake.rs:1:1: asked for by the test');
    if (this.#fake.crash === 'panic') throw new WebAssembly.RuntimeError('unreachable');
    setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); });
    await new Promise(() => {});
  }
}

/** Counts crashes across workers of one origin; returns the number before this one. */
async function counter() {
  const file = await (await navigator.storage.getDirectory()).getFileHandle('fake-crashes', { create: true });
  const handle = await file.createSyncAccessHandle();
  const before = handle.getSize();
  handle.write(new Uint8Array(1), { at: before });
  handle.close();
  return before;
}

function block(ms) {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

async function probe(asked) {
  const cpu = (reason) => ({ kind: 'cpu', name: 'WebAssembly', reason, threads: 1 });
  if (asked === 'cpu') return cpu('chosen');
  if (!navigator.gpu) return cpu('no_webgpu');
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) return cpu('no_adapter');
  if (asked !== 'gpu') return cpu('fallback_adapter');
  return { kind: 'gpu', name: adapter.info?.description ?? '', reason: 'chosen', threads: 1 };
}

/** An ellipse as a COCO compressed run-length mask. */
function ellipse(width, height, cx, cy, rx, ry, quality, concept) {
  const runs = [];
  let value = 0;
  let length = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const bit = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1 ? 1 : 0;
      if (bit !== value) {
        runs.push(length);
        length = 0;
        value = bit;
      }
      length++;
    }
  }
  runs.push(length);
  let counts = '';
  runs.forEach((run, i) => {
    let x = i > 2 ? run - runs[i - 2] : run;
    for (let more = true; more; ) {
      let c = x & 0x1f;
      x >>= 5;
      more = c & 0x10 ? x !== -1 : x !== 0;
      if (more) c |= 0x20;
      counts += String.fromCharCode(c + 48);
    }
  });
  return { rle: { size: [height, width], counts }, bbox: [cx - rx, cy - ry, 2 * rx, 2 * ry].map(Math.round), quality, concept, measured: MEASURED[concept] ?? [] };
}
