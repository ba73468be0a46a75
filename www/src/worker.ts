/**
 * The module worker that owns the engine: nothing heavy ever runs on the page's thread.
 *
 * Steps: `prepare` (choose and compile the wasm, read the manifest, choose the device, measure what is missing) → `load` (weights in, engine built) →
 * `open` a photo → `analyze` it, any number of times. After `load` it asks nothing of any network. A wasm panic may leave a promise that
 * never settles, so the worker also reports uncaught errors as a crash: the page then replaces the whole worker.
 *
 * Started by another such worker under the name of a helper, it is one (`helper.ts`): one file, so that bundlers need to know of one.
 */
import { engineFor, type EngineName } from './choice';
import { Fault, toFault } from './fault';
import type { Call, Engine, EngineModule, PrepareArgs, Prepared, Problem, Ready, Reply } from './protocol';
import { openStore, type Store } from './store';
import { HELPER, type Compiled, type HelperStart, type Program } from './threads';
import { unzipped } from './unzip';
import { addAll, measure } from './weights';

/** The engines' scripts. */
const SCRIPTS: Record<EngineName, () => Promise<EngineModule>> = {
  full: () => import('#pkg/facext.js'),
  cpu: () => import('#pkg-cpu/facext.js'),
};

interface Held {
  engine: Engine;
  stopper: { stop(): void };
  /** Makes a fresh engine; a build that failed has used the old one up. */
  create(): Promise<Engine>;
  /** True from the start of a build until it succeeded. */
  spent: boolean;
  store: Store;
  weightsBase: string;
  added: Set<string>;
}

let held: Held | null = null;
/** Aborts the running `load`; an analysis is stopped through the engine's stopper. */
const aborts = new Map<number, AbortController>();
/** The last panic message: wasm prints it to the console just before the trap, which itself only says "unreachable". */
let lastPanic = '';

const post = (reply: Reply) => self.postMessage(reply);

const consoleError = console.error.bind(console);
console.error = (...args: unknown[]) => {
  const text = args.map(String).join(' ');
  if (text.includes('panicked at')) lastPanic = text.slice(0, 500);
  consoleError(...args);
};

function crash(thrown: unknown): void {
  const fault = toFault(thrown);
  const code = fault.code === 'device.lost' ? fault.code : 'worker.crashed';
  post({ type: 'crash', error: { code, detail: lastPanic || fault.detail } });
}
// The listener is there at once, because the message is, too.
if (self.name === HELPER) self.addEventListener('message', async ({ data }: MessageEvent<HelperStart>) => (await import('./helper')).help(data), { once: true });
else listen();

function listen(): void {
  self.addEventListener('error', (event) => crash(event.error ?? event.message));
  self.addEventListener('unhandledrejection', (event) => crash(event.reason));

  self.addEventListener('message', (message: MessageEvent<Call>) => {
    const call = message.data;
    if (call.type === 'cancel') {
      aborts.get(call.target)?.abort();
      held?.stopper.stop();
      return;
    }
    run(call).then(
      (value) => post({ id: call.id, type: 'done', value }),
      (thrown) => post({ id: call.id, type: 'error', error: problem(thrown) }),
    );
  });
}

function problem(thrown: unknown): Problem {
  const fault = toFault(thrown);
  return fault.code === 'worker.crashed' && lastPanic ? { code: fault.code, detail: lastPanic } : fault.problem;
}

async function run(call: Exclude<Call, { type: 'cancel' }>): Promise<unknown> {
  switch (call.type) {
    case 'warm':
      return void (await script(call.engine));
    case 'prepare':
      return prepare(call.args);
    case 'measure':
      return measure(need().engine, need().store, need().added);
    case 'load':
      return load(call.id);
    case 'open':
      return need().engine.open(call.bytes, call.name);
    case 'parts':
      return need().engine.parts(call.face);
    case 'analyze':
      return need().engine.analyze(call.request, (event) => post({ id: call.id, type: 'event', event }));
    case 'spread':
      return need().engine.spread(call.report, (event) => post({ id: call.id, type: 'event', event }));
  }
}

function need(): Held {
  if (!held) throw new Fault('model.failed', 'the worker was not prepared');
  return held;
}

async function prepare({ wasm, program: kept, weightsBase, device, manifest, threads }: PrepareArgs): Promise<Prepared> {
  const program = kept ?? (await fetched(await engineFor(device), wasm, threads));
  const { default: begin, Engine: EngineClass, helpers } = await script(program.engine);
  await start(program, begin, helpers, threads);
  const text = manifest ?? (await fetchManifest(new URL('manifest.json', weightsBase).href));
  const create = () => EngineClass.create(text, device);
  const engine = await create();
  const store = await openStore(weightsBase);
  held = { engine, stopper: engine.stopper(), create, spent: false, store, weightsBase, added: new Set() };
  return { device: engine.device(), ...(await measure(engine, store, held.added)), store: store.kind, manifest: text, program };
}

async function load(id: number): Promise<Ready> {
  const mine = need();
  if (mine.spent) {
    mine.engine.free?.();
    mine.engine = await mine.create();
    mine.stopper = mine.engine.stopper();
    mine.added.clear();
    mine.spent = false;
  }
  const { engine, store, weightsBase, added } = mine;
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    await addAll(engine, store, {
      weightsBase,
      added,
      signal: abort.signal,
      onEvent: (event) => post({ id, type: 'event', event }),
    });
    post({ id, type: 'event', event: { type: 'building' } });
    mine.spent = true;
    await engine.build();
    mine.spent = false;
    return { device: engine.device(), regions: engine.regions(), store: store.kind };
  } finally {
    aborts.delete(id);
  }
}

async function start({ module, shared }: Program, begin: EngineModule['default'], helpers: EngineModule['helpers'], threads: number): Promise<void> {
  if (!shared) return void (await begin({ module_or_path: module }));
  const { memoryOf, startHelpers } = await import('./shared-memory');
  const memory = memoryOf(shared);
  await begin({ module_or_path: module, more: { facext: { memory } } });
  const plan = helpers(threads - 1);
  if (plan) startHelpers(plan, module, memory);
}

function script(engine: EngineName): Promise<EngineModule> {
  return SCRIPTS[engine]().catch((thrown) => {
    throw new Fault('download.failed', String(thrown));
  });
}

/** The engine of that name; where its file cannot be had the other, which can do the same on the processor. */
async function fetched(wanted: EngineName, urls: Record<EngineName, string>, threads: number): Promise<Program> {
  const get = async (engine: EngineName) => ({ engine, ...(await Promise.all([compile(urls[engine], threads), script(engine)]))[0] });
  try {
    return await get(wanted);
  } catch (thrown) {
    return await get(wanted === 'full' ? 'cpu' : 'full').catch(() => {
      throw thrown;
    });
  }
}

async function compile(url: string, threads: number): Promise<Compiled> {
  const answer = await fetchOk(url, 'program.missing');
  if (!answer.body) throw new Fault('program.missing', new URL(url).pathname);
  try {
    // A response of our own: the host may serve the file with any MIME type.
    const plain = new Response(await unzipped(answer.body), { headers: { 'content-type': 'application/wasm' } });
    if (threads > 1) return await (await import('./shared-memory')).compiled(new Uint8Array(await plain.arrayBuffer()));
    return { module: await WebAssembly.compileStreaming(plain) };
  } catch (thrown) {
    // A connection that was cut, or a file that cannot be unzipped; what the compiler refuses is another error.
    if (thrown instanceof TypeError) throw new Fault('download.failed', new URL(url).pathname);
    throw new Fault('program.broken', String(thrown));
  }
}

async function fetchManifest(url: string): Promise<string> {
  return (await fetchOk(url, 'weights.manifest', 'no-cache')).text();
}

async function fetchOk(url: string, code: string, cache: RequestCache = 'default'): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url, { cache });
  } catch {
    throw new Fault('download.failed', new URL(url).pathname);
  }
  if (!answer.ok) throw new Fault(code, `${new URL(url).pathname}: status ${answer.status}`);
  return answer;
}
