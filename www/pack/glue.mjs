// Makes wasm-bindgen's glue fit for a memory that threads share (src/shared-memory.ts): the wasm is built with a memory of its own, so the glue
// does not know. Works with both.
//
//   node pack/glue.mjs FILE.js
import { readFileSync, writeFileSync } from 'node:fs';

const CHANGES = [
  // A shared memory that grows keeps its old view, which ends too early.
  [/(cached\w+ArrayMemory0)\.byteLength === 0/g, '$1.buffer !== wasm.memory.buffer', 1],
  // Texts and random numbers are neither read from nor written to shared memory.
  [/cachedTextDecoder\.decode\(bytes\)/g, 'cachedTextDecoder.decode(bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice())', 1],
  [
    /cachedTextEncoder\.encodeInto\(arg, view\)/g,
    '(view.buffer instanceof ArrayBuffer ? cachedTextEncoder.encodeInto(arg, view) : ((bytes) => (view.set(bytes), { written: bytes.length }))(cachedTextEncoder.encode(arg)))',
    1,
  ],
  [
    /globalThis\.crypto\.getRandomValues\(getArrayU8FromWasm0\((\w+), (\w+)\)\)/g,
    'getArrayU8FromWasm0($1, $2).set(globalThis.crypto.getRandomValues(new Uint8Array($2)))',
    1,
  ],
  // The memory comes in as an import.
  [/\(\{module_or_path\} = module_or_path\)/g, '({module_or_path, more} = module_or_path)', 1],
  [/async function __wbg_init_once\(module_or_path\) \{/g, '$&\n    let more;', 1],
  [/const imports = __wbg_get_imports\(\);(?=[^}]*typeof module_or_path === 'string')/g, 'const imports = { ...__wbg_get_imports(), ...more };', 1],
];

const [file] = process.argv.slice(2);
let code = readFileSync(file, 'utf8');
for (const [from, to, least] of CHANGES) {
  const found = code.match(from)?.length ?? 0;
  if (found < least) throw new Error(`${file}: the glue is not as expected: ${from}`);
  code = code.replace(from, to);
}
writeFileSync(file, code);
