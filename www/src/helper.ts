/**
 * A helper: runs jobs of the engine's kernels on the engine's memory, in an instance of its own, until the worker that owns it ends.
 *
 * It waits in one call for good and hears no more messages. The words of the block and the protocol are those of `src/web/threads.rs`.
 * A helper calls nothing of the page's: an import that is called is an error, and so is memory asked for (the engine's allocator stops it).
 */
import type { HelperStart } from './threads';

const CLAIM = 0;
const COUNT = 1;
const DONE = 2;
const FAILED = 3;
const JOB = 0xffff;
/** The kernels, in the order in which the engine has them in its table (`src/quant/cpu/relaxed`). */
const KERNELS = ['q4', 'q8', 'product'];
/** Looks for work before it sleeps: products follow each other within some ten microseconds, and waking takes longer. */
const LOOKS = 20_000;

interface Exports {
  facext_job(slot: number, i: number): void;
  __stack_pointer: WebAssembly.Global;
}

/** Begins, and returns only when it has failed. */
export function help(start: HelperStart): void {
  const { memory, slot, block } = start;
  const words = new Int32Array(memory.buffer, block, FAILED + 1);
  try {
    const { facext_job: job } = instance(start);
    for (let looks = 0; ; ) {
      const claim = Atomics.load(words, CLAIM);
      const i = claim & JOB;
      // A count of another task is only read while the claim is closed or moves on, and then the exchange fails.
      if (i < Atomics.load(words, COUNT)) {
        if (Atomics.compareExchange(words, CLAIM, claim, claim + 1) !== claim) continue;
        job(slot, i);
        Atomics.add(words, DONE, 1);
        looks = 0;
      } else if (++looks > LOOKS) {
        Atomics.wait(words, CLAIM, claim);
        looks = 0;
      }
    }
  } catch (thrown) {
    Atomics.store(words, FAILED, 1);
    console.warn('facext: a helper failed:', thrown);
  }
}

/** The engine's module once more, on a stack of its own, with the kernels at the same places of its table. */
function instance({ module, memory, slot, stacks, kernels, first }: HelperStart): Exports {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[name] = kind === 'memory' ? memory : () => {
      throw new Error(`a helper called ${name}`);
    };
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  (exports as unknown as Exports).__stack_pointer.value = stacks[slot - 1];
  if (kernels && first !== undefined) {
    const tables = Object.entries(exports).filter(([name, value]) => value instanceof WebAssembly.Table && name !== '__wbindgen_externrefs');
    const table = tables[0]?.[1] as WebAssembly.Table;
    if (tables.length !== 1 || table.grow(KERNELS.length) !== first) throw new Error('the table is not as the engine has it');
    const { exports: found } = new WebAssembly.Instance(kernels, { env: { memory } });
    KERNELS.forEach((name, i) => table.set(first + i, found[name]));
  }
  return exports as unknown as Exports;
}
