/**
 * Where the weights stay between visits: OPFS, else the Cache API, else only this tab's memory.
 *
 * OPFS is written through a synchronous access handle, so an interrupted file keeps every byte that arrived (`.part`) and the next
 * attempt asks the server for the rest only. A key carries the hash of the content, so a new version never meets an old file; what
 * the manifest does not name is evicted. Stored bytes are never trusted: the engine verifies the hash each time it reads them.
 */
import type { FileEntry, StoreKind } from './protocol';

/** A file in the middle of being fetched. */
export interface Part {
  /** The bytes that an earlier attempt left. */
  readonly resumed: Uint8Array;
  /** Adds bytes at the end. Storage trouble is not fatal: returns false once and keeps nothing from then on. */
  append(chunk: Uint8Array): boolean;
  /** Forgets what was received. */
  restart(): void;
  /** Keeps the partial file for the next attempt. */
  close(): void;
  /** The file is whole and verified: it becomes the stored copy. */
  commit(bytes: Uint8Array): Promise<boolean>;
}

export interface Store {
  readonly kind: StoreKind;
  /** Bytes already here, whole or partial, for the size that a button states. */
  have(file: FileEntry): Promise<number>;
  read(file: FileEntry): Promise<Uint8Array | null>;
  remove(file: FileEntry): Promise<void>;
  part(file: FileEntry): Promise<Part>;
  /** Drops everything that the manifest does not name. */
  evictExcept(files: FileEntry[]): Promise<void>;
}

const ROOT = 'facext-weights';
/** A worker that was terminated lets go of its files a moment later. */
const HANDLE_TRIES = 10;
const HANDLE_WAIT_MS = 100;
/** Bytes after which a partial file is flushed: this is what a crash of the browser can cost. */
const FLUSH_EVERY = 1 << 20;

/** Key of a file: its hash first, so that content and name cannot drift apart. */
function key(file: FileEntry): string {
  return `${file.sha256.slice(0, 16)}-${file.name.replace(/[^A-Za-z0-9._-]/g, '_')}`;
}

/** One namespace for each weights directory: two pages of one origin must not evict each other's files. */
function scope(weightsBase: string): string {
  return encodeURIComponent(new URL(weightsBase).pathname).replace(/\*/g, '%2A') || 'root';
}

/** Opens the best store that works here, by trying it. */
export async function openStore(weightsBase: string): Promise<Store> {
  try {
    return await OpfsStore.open(scope(weightsBase));
  } catch {
    // Private windows of some browsers, and old Safari, have no usable OPFS.
  }
  try {
    const cache = await caches.open(`${ROOT}:${scope(weightsBase)}`);
    await cache.keys();
    return new CacheStore(cache);
  } catch {
    return new MemoryStore();
  }
}

class OpfsStore implements Store {
  readonly kind = 'opfs';
  constructor(private readonly dir: FileSystemDirectoryHandle) {}

  static async open(name: string): Promise<OpfsStore> {
    const root = await navigator.storage.getDirectory();
    const all = await root.getDirectoryHandle(ROOT, { create: true });
    const dir = await all.getDirectoryHandle(name, { create: true });
    // The probe: a synchronous handle must open, write and close.
    const probe = await dir.getFileHandle(`probe-${crypto.randomUUID()}`, { create: true });
    try {
      const handle = await probe.createSyncAccessHandle();
      handle.write(new Uint8Array(1), { at: 0 });
      handle.close();
    } finally {
      await dir.removeEntry(probe.name);
    }
    return new OpfsStore(dir);
  }

  private async size(name: string): Promise<number> {
    try {
      return (await (await this.dir.getFileHandle(name)).getFile()).size;
    } catch {
      return 0;
    }
  }

  async have(file: FileEntry): Promise<number> {
    const whole = await this.size(key(file));
    return whole === file.bytes ? whole : Math.min(await this.size(`${key(file)}.part`), file.bytes);
  }

  async read(file: FileEntry): Promise<Uint8Array | null> {
    try {
      const stored = await (await this.dir.getFileHandle(key(file))).getFile();
      return new Uint8Array(await stored.arrayBuffer());
    } catch {
      return null;
    }
  }

  async remove(file: FileEntry): Promise<void> {
    await this.dir.removeEntry(key(file)).catch(() => {});
  }

  async part(file: FileEntry): Promise<Part> {
    try {
      return await OpfsPart.open(this.dir, key(file), file.bytes);
    } catch {
      // A handle that another tab still holds, or a full disk: this file stays in memory.
      return new MemoryPart();
    }
  }

  async evictExcept(files: FileEntry[]): Promise<void> {
    const keep = new Set(files.flatMap((f) => [key(f), `${key(f)}.part`]));
    const old: string[] = [];
    for await (const name of this.dir.keys()) if (!keep.has(name)) old.push(name);
    for (const name of old) await this.dir.removeEntry(name).catch(() => {});
  }
}

async function patientHandle(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle> {
  for (let left = HANDLE_TRIES; ; left--) {
    try {
      return await file.createSyncAccessHandle();
    } catch (thrown) {
      if (left <= 0 || !(thrown instanceof DOMException) || thrown.name !== 'NoModificationAllowedError') throw thrown;
      await new Promise((done) => setTimeout(done, HANDLE_WAIT_MS));
    }
  }
}

class OpfsPart implements Part {
  private at: number;
  private dead = false;
  private flushed = 0;

  private constructor(
    private readonly dir: FileSystemDirectoryHandle,
    private readonly name: string,
    private readonly file: FileSystemFileHandle,
    private handle: FileSystemSyncAccessHandle | null,
    readonly resumed: Uint8Array,
  ) {
    this.at = resumed.byteLength;
  }

  static async open(dir: FileSystemDirectoryHandle, name: string, bytes: number): Promise<OpfsPart> {
    const file = await dir.getFileHandle(`${name}.part`, { create: true });
    const handle = await patientHandle(file);
    let size = handle.getSize();
    if (size > bytes) {
      handle.truncate(0);
      size = 0;
    }
    const resumed = new Uint8Array(size);
    if (size > 0) handle.read(resumed, { at: 0 });
    return new OpfsPart(dir, name, file, handle, resumed);
  }

  append(chunk: Uint8Array): boolean {
    if (this.dead || !this.handle) return true;
    try {
      if (this.handle.write(chunk, { at: this.at }) !== chunk.byteLength) throw new Error('short write');
      this.at += chunk.byteLength;
      if (this.at - this.flushed >= FLUSH_EVERY) {
        this.handle.flush();
        this.flushed = this.at;
      }
      return true;
    } catch {
      this.dead = true;
      this.close();
      void this.dir.removeEntry(this.file.name).catch(() => {});
      return false;
    }
  }

  restart(): void {
    this.at = 0;
    this.flushed = 0;
    this.handle?.truncate(0);
  }

  close(): void {
    if (!this.handle) return;
    try {
      this.handle.flush();
    } catch {
      // A full disk: what was written so far may be lost, the hash check will tell.
    }
    this.handle.close();
    this.handle = null;
  }

  async commit(bytes: Uint8Array): Promise<boolean> {
    this.close();
    if (this.dead) return false;
    try {
      const movable = this.file as FileSystemFileHandle & { move?(name: string): Promise<void> };
      if (movable.move) {
        await this.dir.removeEntry(this.name).catch(() => {});
        await movable.move(this.name);
        return true;
      }
      const whole = await this.dir.getFileHandle(this.name, { create: true });
      const handle = await whole.createSyncAccessHandle();
      handle.truncate(0);
      handle.write(bytes, { at: 0 });
      handle.flush();
      handle.close();
      await this.dir.removeEntry(this.file.name);
      return true;
    } catch {
      await this.dir.removeEntry(this.name).catch(() => {});
      return false;
    }
  }
}

class MemoryPart implements Part {
  readonly resumed = new Uint8Array(0);
  append(): boolean {
    return true;
  }
  restart(): void {}
  close(): void {}
  async commit(_bytes: Uint8Array): Promise<boolean> {
    return false;
  }
}

class CacheStore implements Store {
  readonly kind = 'cache';
  constructor(private readonly cache: Cache) {}

  /** Never fetched: only a name, on this page's own origin. */
  private url(name: string): string {
    return new URL(`/${ROOT}/${name}`, self.location.origin).href;
  }

  async have(file: FileEntry): Promise<number> {
    return (await this.cache.match(this.url(key(file)))) ? file.bytes : 0;
  }

  async read(file: FileEntry): Promise<Uint8Array | null> {
    const hit = await this.cache.match(this.url(key(file)));
    return hit ? new Uint8Array(await hit.arrayBuffer()) : null;
  }

  async remove(file: FileEntry): Promise<void> {
    await this.cache.delete(this.url(key(file)));
  }

  async part(file: FileEntry): Promise<Part> {
    const url = this.url(key(file));
    const part = new MemoryPart();
    part.commit = async (bytes) => {
      try {
        await this.cache.put(url, new Response(bytes as Uint8Array<ArrayBuffer>));
        return true;
      } catch {
        return false;
      }
    };
    return part;
  }

  async evictExcept(files: FileEntry[]): Promise<void> {
    const keep = new Set(files.map((f) => this.url(key(f))));
    for (const request of await this.cache.keys()) if (!keep.has(request.url)) await this.cache.delete(request);
  }
}

class MemoryStore implements Store {
  readonly kind = 'memory';
  async have(): Promise<number> {
    return 0;
  }
  async read(): Promise<null> {
    return null;
  }
  async remove(): Promise<void> {}
  async part(): Promise<Part> {
    return new MemoryPart();
  }
  async evictExcept(): Promise<void> {}
}
