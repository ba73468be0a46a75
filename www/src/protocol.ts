/**
 * What crosses the borders: the wasm engine's surface, and the messages between the page and its worker.
 *
 * The engine half mirrors the Rust crate's web bindings; the page never computes any of it. Coordinates are pixels of the
 * upright photo (EXIF orientation applied, origin top left) everywhere.
 */
import type { EngineName } from './choice';
import type { HelpersPlan, Program } from './threads';

/** `[x, y, width, height]` in pixels of the upright photo. */
export type Box = [number, number, number, number];

/** COCO compressed run-length encoding, column-major; `size` is `[height, width]`. */
export interface Rle {
  size: [number, number];
  counts: string;
}

/** How a question is to be answered: with text and masks, masks only, text only, the verdict only, or the family only. */
export type Task = 'age' | 'loc' | 'toe' | 'det' | 'cls';

export type Band = 'no_sign' | 'inconclusive' | 'signs' | 'strong_signs';

export interface FileEntry {
  name: string;
  bytes: number;
  sha256: string;
}

export interface DeviceInfo {
  kind: 'cpu' | 'gpu';
  name: string;
  /** Stable code: why this device. Worded in `words.ts`. */
  reason: string;
  /** Of the processor. */
  threads: number;
}

export interface Region {
  id: string;
  en: string;
  zh: string;
  parent: string | null;
}

export interface FileFacts {
  name: string;
  bytes: number;
  sha256: string;
  width: number;
  height: number;
  orientation?: number;
}

/** What the file says about itself; `key` is stable and worded in `words-*.ts`. */
export interface Fact {
  key: string;
  value: string;
}

/** Where the concepts lie on one face: cells of a square of the photo. */
export interface PartMap {
  /** May reach beyond the photo. */
  box: Box;
  /** Cells along a side. */
  side: number;
  /** Ids of the leaves, by label. */
  leaves: string[];
  /** `side * side` labels, row-major; 255 where there is no leaf. */
  labels: Uint8Array;
}

export interface Opened {
  status: 'ok' | 'no_usable_face';
  reason: string | null;
  file: FileFacts;
  faces: { box: Box }[];
  facts: Fact[];
  warnings: string[];
}

export interface Request {
  task: Task;
  /** Index of one face; all faces when absent. */
  face?: number;
  region?: string;
  box?: Box;
  mask?: Rle;
  question?: string;
}

export interface MaskOut {
  rle: Rle;
  bbox: Box;
  /** The model's own estimate of the mask's overlap with the truth, 0..1. */
  quality: number;
  concept: string | null;
  /** What was measured on the marked pixels and stands out; absent in reports of earlier versions. */
  measured?: Measured[];
}

/** One measurement against those of untouched photos, in `unit`. */
export interface Measured {
  /** Stable; worded in `words-*.ts`. */
  measure: string;
  value: number;
  unit: string;
  median: number;
  spread: number;
}

export interface Span {
  text: string;
  /** Index into the face's `masks`. */
  mask: number | null;
}

/** A face saved again in lower quality, and scored. */
export interface Trial {
  /** Stable; worded in `words-*.ts`. */
  how: string;
  score: number;
  band: Band;
}

/** How far a face's score moves over the trials. */
export interface Spread {
  low: number;
  high: number;
  tried: Trial[];
}

export interface FaceOut {
  box: Box;
  /** 0..1, towards "forged". */
  score: number;
  band: Band;
  family: string;
  answer: string;
  spans: Span[];
  masks: MaskOut[];
  /** Absent until it was measured, which is done after an answer. */
  spread?: Spread;
}

export interface Report {
  status: 'ok' | 'no_usable_face';
  reason: string | null;
  /** What was asked. */
  request?: Request;
  file: FileFacts;
  program: { version: string; weights_sha256: string; device: string; preset: string };
  faces: FaceOut[];
  timings_ms: Record<string, number>;
  warnings: string[];
}

export type Stage = 'decode' | 'face' | 'encode' | 'evidence' | 'prefill' | 'generate' | 'masks' | 'spread';

/** What the engine reports while it works. `id` of a phrase is the index of its mask. */
export type EngineEvent =
  | { type: 'stage'; stage: Stage; face: number }
  | { type: 'verdict'; face: number; score: number; band: Band; family: string }
  | { type: 'text'; face: number; text: string }
  | { type: 'phrase'; face: number; id: number; text: string }
  | { type: 'mask'; face: number; id: number; mask: MaskOut }
  | ({ type: 'trial'; face: number } & Trial);

/** What the wasm package exports (`wasm-bindgen --target web`). */
export interface EngineModule {
  default(input?: { module_or_path: WebAssembly.Module | string; more?: WebAssembly.Imports }): Promise<unknown>;
  /** Makes room for helpers; undefined where memory is not shared. */
  helpers(count: number): HelpersPlan | undefined;
  Engine: { create(manifest: string, device: string): Promise<Engine> };
}

export interface Engine {
  device(): DeviceInfo;
  files(): FileEntry[];
  /** Verifies size and SHA-256; a bad file throws and leaves nothing behind. */
  add_file(name: string, bytes: Uint8Array): void | Promise<void>;
  build(): Promise<void>;
  open(bytes: Uint8Array, name: string): Promise<Opened>;
  parts(face: number): PartMap;
  analyze(request: Request, onEvent: (event: EngineEvent) => void): Promise<Report>;
  /** The report with the spread of its scores; bands that it does not bear have given way. */
  spread(report: Report, onEvent: (event: EngineEvent) => void): Promise<Report>;
  /** Taken before an analysis begins: the engine itself is borrowed while it runs. */
  stopper(): { stop(): void };
  regions(): Region[];
  /** Gives its wasm memory back; absent in the tests' fake. */
  free?(): void;
}

/** Where the verified weights stay. `memory` means: gone when the page closes. */
export type StoreKind = 'opfs' | 'cache' | 'memory';

/** The state of things before any weight is asked for. */
export interface Prepared {
  device: DeviceInfo;
  /** Bytes of all files, and of those that must still be fetched. */
  total: number;
  missing: number;
  store: StoreKind;
  /** Kept by the page, so that a replacement worker needs no network. */
  manifest: string;
  program: Program;
}

export interface Ready {
  device: DeviceInfo;
  regions: Region[];
  store: StoreKind;
}

export type ProgressEvent =
  /** `loaded` counts verified and stored bytes too; `fetched` only those that came over the network just now. */
  | { type: 'progress'; loaded: number; total: number; fetched: number; file: string }
  | { type: 'notice'; code: string; detail: string }
  | { type: 'building' };

export type WorkerEvent = EngineEvent | ProgressEvent;

export interface PrepareArgs {
  /** Absolute URLs of the wasm files. */
  wasm: Record<EngineName, string>;
  /** What an earlier worker compiled; then no wasm is fetched. */
  program?: Program;
  /** How many threads the engine may have. */
  threads: number;
  /** Absolute URL of the weights directory, with a trailing slash. */
  weightsBase: string;
  device: string;
  manifest?: string;
}

/** Page to worker. */
export type Call =
  /** Loads the script of that engine and does nothing with it. */
  | { id: number; type: 'warm'; engine: EngineName }
  | { id: number; type: 'prepare'; args: PrepareArgs }
  | { id: number; type: 'measure' }
  | { id: number; type: 'load' }
  | { id: number; type: 'open'; bytes: Uint8Array; name: string }
  | { id: number; type: 'parts'; face: number }
  | { id: number; type: 'analyze'; request: Request }
  | { id: number; type: 'spread'; report: Report }
  | { id: number; type: 'cancel'; target: number };

/** A problem with a stable code; the page words it. */
export interface Problem {
  code: string;
  detail: string;
}

/** Worker to page. */
export type Reply =
  | { id: number; type: 'done'; value: unknown }
  | { id: number; type: 'error'; error: Problem }
  | { id: number; type: 'event'; event: WorkerEvent }
  | { type: 'crash'; error: Problem };
