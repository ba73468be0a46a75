// Builds the npm package `facext` into ../dist-npm: the element, the engine, the worker and the wasm, with types and manifest.
//
//   node pack/build.mjs      FACEXT_PKG  directory of the wasm-bindgen output (default pkg, and pkg-cpu)
//                            FACEXT_NPM  output directory (default ../dist-npm)
//
// esbuild, not Vite: it leaves `new URL('./worker.js', import.meta.url)` alone, which is what the consumers' bundlers look for.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { zippedWasm } from './zip.mjs';

const www = fileURLToPath(new URL('..', import.meta.url));
const pkg = resolve(www, process.env.FACEXT_PKG ?? 'pkg');
// The tests' engine stands for both.
const pkgCpu = resolve(www, process.env.FACEXT_PKG ?? 'pkg-cpu');
const out = resolve(www, process.env.FACEXT_NPM ?? '../dist-npm');
const dist = join(out, 'dist');
const bin = (name, file, ...args) => execFileSync(process.execPath, [join(www, 'node_modules', name, file), ...args], { cwd: www, stdio: ['ignore', 'ignore', 'inherit'] });

rmSync(out, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

const common = {
  absWorkingDir: www,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  platform: 'browser',
  minify: true,
  legalComments: 'eof',
  logLevel: 'warning',
  outdir: dist,
  alias: { '#pkg': pkg, '#pkg-cpu': pkgCpu, '#assets': join(www, 'src/assets-pack.ts'), '#lazy': join(www, 'src/lazy-pack.ts') },
};
// The chunks lie beside the entries, because the URLs of worker and wasm are relative to whichever file holds them.
await build({
  ...common,
  entryPoints: ['pack/index.ts', 'pack/element.ts', 'pack/engine.ts'],
  splitting: true,
  chunkNames: 'chunk-[hash]',
  inject: [join(www, 'pack/ssr.ts')],
});
await build({ ...common, entryPoints: { worker: 'src/worker.ts' } });
cpSync(zippedWasm(pkg, 'facext_bg'), join(dist, 'facext_bg.wasm.gz'));
cpSync(zippedWasm(pkgCpu, 'facext_cpu'), join(dist, 'facext_cpu.wasm.gz'));

// Types: those of the engine as the compiler writes them, those of the element from the hand-written files beside this one.
bin('typescript', 'bin/tsc', '-p', 'pack/tsconfig.json', '--outDir', join(dist, 'types'));
for (const name of readdirSync(join(dist, 'types'))) {
  const path = join(dist, 'types', name);
  // Node's and TypeScript's `nodenext` resolution wants extensions.
  writeFileSync(path, readFileSync(path, 'utf8').replace(/(from |import\()'(\.\/[\w-]+)'/g, "$1'$2.js'"));
}
for (const name of ['index.d.ts', 'element.d.ts', 'engine.d.ts', 'worker.d.ts']) cpSync(join(www, 'pack', name), join(dist, name));

bin('@custom-elements-manifest/analyzer', 'cem.js', 'analyze', '--config', 'pack/cem.config.mjs');
const manifest = readFileSync(join(www, '.cem/custom-elements.json'), 'utf8').replaceAll(/"\/?src\/(element|widget)(\.ts|\.js)?"/g, '"dist/element.js"');
rmSync(join(www, '.cem'), { recursive: true });
writeFileSync(join(out, 'custom-elements.json'), `${JSON.stringify(onlyPublic(JSON.parse(manifest)), null, 2)}\n`);

/** One module, the element with what it inherits, nothing private. */
function onlyPublic({ schemaVersion, modules }) {
  const classes = modules.flatMap((m) => m.declarations).filter((d) => d.kind === 'class');
  const base = classes.find((d) => d.name === 'Widget');
  const element = classes.find((d) => d.name === 'FacextAnalyzer');
  if (!base || !element) throw new Error('the analyzer did not find the element');
  const isPublic = (m) => !['private', 'protected'].includes(m.privacy) && !m.static && !/^(render|updated|connectedCallback|disconnectedCallback|properties|styles|status|dragging)$/.test(m.name);
  const clean = ({ inheritedFrom: _, ...rest }) => rest;
  const merged = {
    kind: 'class',
    name: element.name,
    tagName: 'facext-analyzer',
    customElement: true,
    description: element.description,
    superclass: { name: 'HTMLElement' },
    attributes: element.attributes.filter((a) => a.description && a.name !== 'dragging').map(clean),
    members: base.members.filter(isPublic).map(clean),
    events: base.events.filter((e) => e.name.startsWith('facext-')).map((e) => ({ ...clean(e), type: { text: 'CustomEvent' } })),
    slots: element.slots,
    cssParts: element.cssParts,
    cssProperties: element.cssProperties,
  };
  const path = 'dist/element.js';
  return {
    schemaVersion,
    modules: [{
      kind: 'javascript-module',
      path,
      declarations: [merged],
      exports: [{ kind: 'js', name: 'FacextAnalyzer', declaration: { name: 'FacextAnalyzer', module: path } }],
    }],
  };
}

const json = JSON.parse(readFileSync(join(www, 'pack/package.json'), 'utf8'));
json.version = /^version = "(.+)"/m.exec(readFileSync(join(www, '../Cargo.toml'), 'utf8'))[1];
writeFileSync(join(out, 'package.json'), `${JSON.stringify(json, null, 2)}\n`);
for (const name of ['LICENSE', 'NOTICE']) cpSync(join(www, '..', name), join(out, name));
cpSync(join(www, 'pack/README.md'), join(out, 'README.md'));
