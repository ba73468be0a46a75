// In the browser: both engines on the same weights and inputs, checked against the truth first, then timed in turns.
//
// Driven by sidebyside.mjs through `window.bench(plan)`. Everything runs on the page's own thread: there is no user here to disturb.

const bytesOf = async (name) => new Uint8Array(await (await fetch(`/models/${name}`)).arrayBuffer());
const floatsOf = async (name) => new Float32Array((await bytesOf(name)).buffer);
const say = (text) => console.debug(`bench: ${text}`);

/** The tokens that `models.py` used. */
const token = (i, vocab) => (i * 37 + 11) % vocab;

// ---- facext -----------------------------------------------------------------------------------------------------------------

let ours;
let program;
/** On this page's thread, with helpers beside it; the product does the same in its worker. */
async function start(threads) {
  ours = await import('/engine/facext_bench.js');
  if (threads === 1) return void (await ours.default({ module_or_path: await WebAssembly.compile(await bytesOf('../engine/facext_bench_bg.wasm')) }));
  const { compiled, memoryOf } = await import('/threads.js');
  program = await compiled(await bytesOf('../engine/facext_bench_bg.wasm'));
  if (!program.shared) throw new Error('memory cannot be shared here');
  program.memory = memoryOf(program.shared);
  await ours.default({ module_or_path: program.module, more: { facext: { memory: program.memory } } });
}

/** Once the kernels are in place, which helpers take over. */
async function help(threads) {
  const plan = ours.helpers(threads - 1);
  if (!plan) return;
  const { startHelpers } = await import('/threads.js');
  startHelpers(plan, program.module, program.memory, '/helper.js');
}

async function facext({ model, precision, backend, threads }, shapes) {
  if (!ours) await start(threads);
  const device = backend === 'webgpu' ? 'gpu' : 'cpu';
  const bytes = await bytesOf(`${model}_${precision}.safetensors`);
  if (model === 'enc') {
    const encoder = await ours.Encoder.create(bytes, device);
    await help(threads);
    const image = await floatsOf('image.f32');
    return { encode: () => encoder.run(image), free: () => encoder.free() };
  }
  const decoder = await ours.Decoder.create(bytes, device);
  await help(threads);
  const prompt = Uint32Array.from({ length: shapes.context }, (_, i) => token(i, shapes.vocab));
  const next = Uint32Array.of(token(shapes.context, shapes.vocab));
  return {
    prefill: () => decoder.run(prompt, 0),
    decode: () => decoder.run(next, shapes.context),
    fill: () => decoder.run(prompt, 0),
    free: () => decoder.free(),
  };
}

// ---- ONNX Runtime Web -------------------------------------------------------------------------------------------------------

let ort;
async function peer({ model, precision, form, backend, threads }, shapes) {
  const gpu = backend === 'webgpu';
  if (!ort) {
    ort = await import(gpu ? '/ort/ort.webgpu.min.mjs' : '/ort/ort.wasm.min.mjs');
    ort.env.wasm.wasmPaths = '/ort/';
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = 'error';
  }
  const bytes = await bytesOf(`${model}_${precision}${form === 'fused' ? '.fused' : ''}.onnx`);
  const present = Array.from({ length: shapes.layers }, (_, i) => [`present.${i}.key`, `present.${i}.value`]).flat();
  const options = { executionProviders: [gpu ? { name: 'webgpu' } : 'wasm'], graphOptimizationLevel: 'all' };
  // Keys and values stay on the GPU, as they do where people use it.
  if (gpu && model === 'dec') options.preferredOutputLocation = Object.fromEntries([...present.map((name) => [name, 'gpu-buffer']), ['logits', 'cpu']]);
  const session = await ort.InferenceSession.create(bytes, options);
  const { Tensor } = ort;
  const drop = (result) => Object.values(result).forEach((t) => t.dispose?.());
  if (model === 'enc') {
    const image = new Tensor('float32', await floatsOf('image.f32'), [1, 3, shapes.side, shapes.side]);
    const encode = async () => {
      const result = await session.run({ image });
      const values = result.features.data.slice();
      drop(result);
      return values;
    };
    return { encode, free: () => session.release() };
  }
  const feeds = (past, count, kv, as = form) => {
    const total = past + count;
    const all = { input_ids: new Tensor('int64', BigInt64Array.from({ length: count }, (_, i) => BigInt(token(past + i, shapes.vocab))), [1, count]) };
    if (as === 'fused') {
      all.seqlens_k = new Tensor('int32', Int32Array.of(total - 1), [1]);
      all.total = new Tensor('int32', Int32Array.of(total), []);
    } else {
      const mask = new Float32Array(count * total);
      for (let i = 0; i < count; i++) mask.fill(-1e9, i * total + past + i + 1, (i + 1) * total);
      all.position_ids = new Tensor('int64', BigInt64Array.from({ length: count }, (_, i) => BigInt(past + i)), [count]);
      all.mask = new Tensor('float32', mask, [1, 1, count, total]);
    }
    for (const name of present) {
      all[name.replace('present', 'past')] = kv?.[name] ?? new Tensor('float32', new Float32Array(0), [1, shapes.heads, 0, shapes.head]);
    }
    return all;
  };
  const run = async (input, wanted) => {
    const result = wanted ? await session.run(input, wanted) : await session.run(input);
    const values = result.logits.data.slice();
    return { values, result };
  };
  const prompt = feeds(0, shapes.context);
  let step;
  // On a software GPU a prompt takes a minute, and the fused attention's is wrong there (an error of 1.1). Its keys and values come from the
  // plain model on the CPU, all but the last, which the GPU adds: then all of them lie there.
  const onCpu = async () => {
    const plain = await ort.InferenceSession.create(await bytesOf(`${model}_${precision}.onnx`), { executionProviders: ['wasm'] });
    const kv = await plain.run({ ...feeds(0, shapes.context - 1, null, 'plain') }, present);
    await plain.release();
    return kv;
  };
  return {
    prefill: async () => {
      const { values, result } = await run(prompt);
      drop(result);
      return values;
    },
    // On wasm only the logits are asked for: that spares the peer the copy of its keys and values out of the wasm heap.
    decode: async () => {
      const { values, result } = await run(step, gpu ? undefined : ['logits']);
      drop(result);
      return values;
    },
    fill: async () => {
      const { result } = gpu ? await run(feeds(shapes.context - 1, 1, await onCpu())) : await run(prompt);
      step = feeds(shapes.context, 1, result);
    },
    free: () => session.release(),
  };
}

// ---- both -------------------------------------------------------------------------------------------------------------------

/** ‖a − b‖ / ‖b‖. */
function error(a, b) {
  if (a.length !== b.length) throw new Error(`${a.length} values where ${b.length} are expected`);
  let apart = 0;
  let whole = 0;
  for (let i = 0; i < a.length; i++) {
    apart += (a[i] - b[i]) ** 2;
    whole += b[i] ** 2;
  }
  return Math.sqrt(apart / whole);
}

/**
 * `plan`: `work` (prefill, decode, encode), `contestants` ({engine, precision, form, backend, threads}), `rounds`, `seconds` and `least`
 * (runs) of each turn. Gives for each contestant the error against the truth and the milliseconds of every run; one that fails gives its
 * message, and the others go on.
 */
window.bench = async ({ work, contestants, rounds, seconds, least }) => {
  const shapes = await (await fetch('/models/shapes.json')).json();
  const model = work === 'encode' ? 'enc' : 'dec';
  const truths = {};
  const all = [];
  for (const who of contestants) {
    const entry = { ...who, ms: [] };
    all.push(entry);
    try {
      const made = await (who.engine === 'facext' ? facext : peer)({ model, ...who }, shapes);
      if (work === 'decode') await made.fill();
      const begun = performance.now();
      const values = await made[work]();
      entry.first_ms = performance.now() - begun;
      truths[who.precision] ??= await floatsOf(`${model}_${who.precision}.ref`);
      const truth = truths[who.precision];
      const at = { prefill: [0, shapes.vocab], decode: [shapes.vocab, 2 * shapes.vocab], encode: [0, truth.length] }[work];
      entry.error = error(values, truth.subarray(...at));
      entry.made = made;
    } catch (thrown) {
      entry.failed = String(thrown?.message ?? thrown).slice(0, 300);
    }
    say(`${who.engine} ${who.precision} ${who.form ?? ''} ready, error ${entry.error ?? entry.failed}`);
  }
  for (let round = 0; round < rounds; round++) {
    for (const entry of all.filter((e) => e.made)) {
      const until = performance.now() + seconds * 1000;
      for (let i = 0; i < least || performance.now() < until; i++) {
        const begun = performance.now();
        await entry.made[work]();
        entry.ms.push(performance.now() - begun);
        if (i % 8 === 7) await new Promise((done) => setTimeout(done, 0));
      }
    }
  }
  for (const entry of all) {
    await entry.made?.free();
    delete entry.made;
  }
  return { isolated: crossOriginIsolated, agent: navigator.userAgent, entries: all };
};
window.ready = true;
