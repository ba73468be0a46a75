/**
 * Whether the engine may have more threads than one: where the page is isolated from other sites (COOP and COEP) and may share memory.
 * What that takes is loaded only then (`shared-memory.ts`, `helper.ts`).
 */
import type { EngineName } from './choice';

/** A compiled wasm, and what its owner must know if its memory is shared. */
export interface Compiled {
  module: WebAssembly.Module;
  shared?: Shared;
}

/** With the name of its engine, whose script goes with it. */
export interface Program extends Compiled {
  engine: EngineName;
}

export interface Shared {
  /** Of 64 KiB, at the start. */
  pages: number;
  data: { at: number; bytes: Uint8Array }[];
}

/** What the engine says of its helpers (`src/web/threads.rs`). */
export interface HelpersPlan {
  block: number;
  stacks: number[];
  kernels?: WebAssembly.Module;
  first?: number;
}

export interface HelperStart extends HelpersPlan {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  slot: number;
}

export const HELPER = 'facext-helper';
/** More threads than this share one memory bus. */
const MOST_THREADS = 4;

/** How many threads the engine may have here, itself among them. */
export function threadsHere(): number {
  return globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
}
