// Makes wasm-bindgen's glue fit for a memory that threads share (src/shared-memory.ts): the wasm is built with a memory of its own, so the glue
// does not know. Works with both. And takes out what the page never uses, as well as the hashes in the names of imports, here and in the wasm
// beside it, which do not compress.
//
//   node pack/glue.mjs NAME.js      with NAME_bg.wasm beside it
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
const binary = file.replace(/\.js$/, '_bg.wasm');
const { wasm, names } = withoutHashes(readFileSync(binary));
writeFileSync(file, code.replace(/\b__wbg_\w+_[0-9a-f]{16}\b/g, (name) => names.get(name) ?? name));
writeFileSync(binary, wasm);

/** The module with short names for imports, and these by the long ones (WebAssembly Core Specification, section 5.5.5). */
function withoutHashes(from) {
  const names = new Map();
  const parts = [from.subarray(0, 8)];
  for (let at = 8; at < from.length; ) {
    const id = from[at];
    const [size, body] = unsigned(from, at + 1);
    const section = from.subarray(body, body + size);
    if (id === 2) {
      const made = imports(section, names);
      parts.push(Buffer.from([id, ...leb(made.length)]), made);
    } else parts.push(from.subarray(at, body + size));
    at = body + size;
  }
  return { wasm: Buffer.concat(parts), names };
}

function imports(section, names) {
  let [count, at] = unsigned(section, 0);
  const parts = [section.subarray(0, at)];
  const taken = new Set();
  const word = () => {
    const [length, start] = unsigned(section, at);
    at = start + length;
    return section.subarray(start, at);
  };
  for (; count > 0; count--) {
    const [from, name] = [word(), word().toString()];
    const plain = /^__wbg_(\w+)_[0-9a-f]{16}$/.exec(name)?.[1] ?? name;
    let short = plain;
    for (let n = 1; taken.has(short); n++) short = `${plain}${n}`;
    taken.add(short);
    names.set(name, short);
    const start = at;
    const kind = section[at++];
    const limits = () => {
      const isBounded = section[at++] & 1;
      for (let n = 0; n <= isBounded; n++) at = unsigned(section, at)[1];
    };
    // Of a function its type, of a table its type and limits, of a memory its limits, of a global two bytes.
    if (kind === 0) at = unsigned(section, at)[1];
    else if (kind === 1) (at++, limits());
    else if (kind === 2) limits();
    else if (kind === 3) at += 2;
    else throw new Error(`${file}: an import of kind ${kind}`);
    const texts = [from, Buffer.from(short)].flatMap((text) => [Buffer.from(leb(text.length)), text]);
    parts.push(...texts, section.subarray(start, at));
  }
  return Buffer.concat(parts);
}

function unsigned(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function leb(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return [...bytes, value];
}
