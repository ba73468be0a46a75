/**
 * The one wasm file for several threads.
 *
 * It is built for one thread, with a memory of its own that its data is written into at each start. Before it is compiled, its memory
 * becomes a shared one that is handed in, and its data is taken out, to be written once by the owner. Then helpers can start the
 * same module on the same memory (`helper.ts`). Nothing of this is needed: where a step fails, the file is compiled as it is.
 */
import { trusted } from './spawn';
import { HELPER, type Compiled, type HelpersPlan, type HelperStart, type Shared } from './threads';

/** 1 GiB; as in `build.rs`. */
const MOST_PAGES = 16384;

/** With a shared memory, if that can be done. */
export async function compiled(wasm: Uint8Array<ArrayBuffer>): Promise<Compiled> {
  try {
    const { bytes, ...shared } = withSharedMemory(wasm);
    return { module: await WebAssembly.compile(bytes), shared };
  } catch (thrown) {
    console.warn('facext: one thread only:', thrown);
    return { module: await WebAssembly.compile(wasm) };
  }
}

/** The memory of a program, its data in place. */
export function memoryOf({ pages, data }: Shared): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: MOST_PAGES, shared: true });
  for (const { at, bytes } of data) new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
  return memory;
}

/** Starts helpers, each a worker from this worker's own file (or from `url`). One that does not come is not missed. */
export function startHelpers(plan: HelpersPlan, module: WebAssembly.Module, memory: WebAssembly.Memory, url = self.location.href): void {
  plan.stacks.forEach((_, i) => {
    const helper = new Worker(trusted(url), { type: 'module', name: HELPER });
    helper.onerror = (event) => event.preventDefault();
    helper.postMessage({ ...plan, module, memory, slot: i + 1 } satisfies HelperStart);
  });
}

// ---- the binary format, as far as needed (WebAssembly Core Specification, section 5) -------------------------------------------------

const IMPORTS = 2;
const MEMORIES = 5;
const START = 8;
const DATA = 11;
const DATA_COUNT = 12;
const I32_CONST = 0x41;
const END = 0x0b;

class Reader {
  constructor(
    readonly bytes: Uint8Array,
    public at = 0,
  ) {}
  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new RangeError('the wasm ends too early');
    return value;
  }
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }
  /** An `i32.const` that an address is written as; addresses over 2 GiB are negative there. */
  address(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 127) << shift;
      if (byte < 128) return (shift < 25 && byte & 64 ? value | (-1 << (shift + 7)) : value) >>> 0;
    }
  }
  take(count: number): Uint8Array {
    if (count > this.bytes.length - this.at) throw new RangeError('the wasm ends too early');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}

function unsigned(value: number): number[] {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

const text = (value: string) => [...unsigned(value.length), ...new TextEncoder().encode(value)];

/** The module with an imported shared memory `facext.memory` instead of its own one, and its data apart. */
export function withSharedMemory(wasm: Uint8Array): Shared & { bytes: Uint8Array<ArrayBuffer> } {
  const reader = new Reader(wasm, 8);
  const sections: { id: number; body: Uint8Array }[] = [];
  while (reader.at < wasm.length) sections.push({ id: reader.byte(), body: reader.take(reader.unsigned()) });
  const of = (id: number) => sections.find((section) => section.id === id)?.body;
  const [memories, imports] = [of(MEMORIES), of(IMPORTS)];
  if (!memories || !imports || of(START) || of(DATA_COUNT)) throw new TypeError('this wasm is built in another way');
  const limits = new Reader(memories);
  if (limits.unsigned() !== 1 || limits.byte() > 1) throw new TypeError('one memory that is not shared was expected');
  const pages = limits.unsigned();

  const old = new Reader(imports);
  const head = [...unsigned(old.unsigned() + 1), ...text('facext'), ...text('memory'), 2, 3, ...unsigned(pages), ...unsigned(MOST_PAGES)];
  const parts: (Uint8Array | number[])[] = [wasm.subarray(0, 8)];
  for (const { id, body } of sections) {
    if (id === MEMORIES || id === DATA) continue;
    if (id === IMPORTS) parts.push([id, ...unsigned(head.length + imports.length - old.at), ...head], imports.subarray(old.at));
    else parts.push([id, ...unsigned(body.length)], body);
  }
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, pages, data: segments(of(DATA)) };
}

function segments(section: Uint8Array | undefined): Shared['data'] {
  if (!section) return [];
  const reader = new Reader(section);
  return Array.from({ length: reader.unsigned() }, () => {
    if (reader.unsigned() !== 0 || reader.byte() !== I32_CONST) throw new TypeError('data that is in place from the start was expected');
    const at = reader.address();
    if (reader.byte() !== END) throw new TypeError('a plain address was expected');
    return { at, bytes: reader.take(reader.unsigned()).slice() };
  });
}
