// The wasm as it is shipped: gzipped, a sixth of its size. Not every static host compresses wasm by itself, some refuse files of more
// than 25 MiB, and a package would be unpacked at its full size. The worker unzips it while it compiles.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Path of `NAME.wasm.gz` beside the wasm of a wasm-bindgen output; made again when the wasm is newer. */
export function zippedWasm(pkg, name) {
  const from = join(pkg, 'facext_bg.wasm');
  const to = join(pkg, `${name}.wasm.gz`);
  if (existsSync(from) && !(existsSync(to) && statSync(to).mtimeMs >= statSync(from).mtimeMs)) writeFileSync(to, gzipSync(readFileSync(from), { level: 9 }));
  return to;
}
