// Makes wasm-bindgen's glue fit for a memory that threads share (src/shared-memory.ts): the wasm is built with a memory of its own, so the glue
// does not know. Works with both. And takes out what the page never uses.
//
//   node pack/glue.mjs FILE.js
import { readFileSync, writeFileSync } from 'node:fs';

const CHANGES = [
  // A shared memory that grows keeps its old view, which ends too early.
  [/(cached\w+ArrayMemory0)\.byteLength === 0/g, '$1.buffer !== wasm.memory.buffer'],
  // Texts and random numbers are neither read from nor written to shared memory.
  [/cachedTextDecoder\.decode\(bytes\)/g, 'cachedTextDecoder.decode(bytes.slice())'],
  [
    /cachedTextEncoder\.encodeInto\(arg, view\)/g,
    '((bytes) => (view.set(bytes), { written: bytes.length }))(cachedTextEncoder.encode(arg))',
  ],
  [/if \(!\('encodeInto' in cachedTextEncoder\)\) \{[\s\S]*?\n\}\n/g, ''],
  [
    /globalThis\.crypto\.getRandomValues\(getArrayU8FromWasm0\((\w+), (\w+)\)\)/g,
    'getArrayU8FromWasm0($1, $2).set(globalThis.crypto.getRandomValues(new Uint8Array($2)))',
  ],
  // The memory comes in as an import. There is always a compiled module: the ways to fetch one are left out, and the wasm's address,
  // which a bundler would follow.
  [
    /async function __wbg_init_once\(module_or_path\) \{[\s\S]*?(?=const \{ instance, module \})/g,
    'async function __wbg_init_once({ module_or_path, more }) {\n    const imports = { ...__wbg_get_imports(), ...more };\n    ',
  ],
  [
    /async function __wbg_load\(module, imports\) \{[\s\S]*?\n\}\n/g,
    'async function __wbg_load(module, imports) {\n    return { instance: await WebAssembly.instantiate(module, imports), module };\n}\n',
  ],
  // A value within a message of the engine's: its own words, not a picture of its insides.
  [/function debugString\(val\) \{[\s\S]*?\n\}\n/g, 'function debugString(val) {\n    return String(val);\n}\n'],
];

const [file] = process.argv.slice(2);
let code = readFileSync(file, 'utf8');
for (const [from, to] of CHANGES) {
  if (code.search(from) < 0) throw new Error(`${file}: the glue is not as expected: ${from}`);
  code = code.replace(from, to);
}
writeFileSync(file, code);
