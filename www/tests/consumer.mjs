// What the tests of the npm package share: the package packed and installed as a person would, and sites that use it.
//
// The package is built around the fake engine; its wasm is padded, because bundlers inline files of a few bytes and the real one has
// megabytes.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { handler } from '../serve.mjs';
import { OUT, WWW, fakeWeights, noise } from './harness.mjs';

export const HOME = join(OUT, 'consumer');
/** The unpacked package, as npm installed it. */
export const INSTALLED = join(HOME, 'node_modules/facext');

/** The least that a page must allow, beside Trusted Types: nothing inline, nothing from elsewhere. */
export const STRICT =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src 'self' blob:; style-src 'self'; " +
  "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types facext lit-html";

/** Builds, packs and installs the package; returns what `npm pack` says of it. */
export function installPackage() {
  rmSync(HOME, { recursive: true, force: true });
  const pkg = join(HOME, 'fake-pkg');
  const npm = join(HOME, 'dist-npm');
  cpSync(join(WWW, 'tests/fake-pkg'), pkg, { recursive: true });
  writeFileSync(join(pkg, 'facext_bg.wasm'), Buffer.concat([readFileSync(join(pkg, 'facext_bg.wasm')), customSection(64 * 1024)]));
  execFileSync(process.execPath, [join(WWW, 'pack/build.mjs')], { env: { ...process.env, FACEXT_PKG: pkg, FACEXT_NPM: npm }, stdio: 'inherit' });
  const [facts] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', HOME], { cwd: npm, encoding: 'utf8' }));
  writeFileSync(join(HOME, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }\n');
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', `./${facts.filename}`], { cwd: HOME, stdio: 'inherit' });
  return facts;
}

/** A wasm section that every engine skips. */
function customSection(bytes) {
  const body = Buffer.concat([Buffer.from([3]), Buffer.from('pad'), noise(bytes, 9)]);
  const length = [];
  for (let n = body.length; ; n >>>= 7) {
    length.push((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    if (n <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from([0, ...length]), body]);
}

/** A folder for a site, with its weights. */
export function siteFolder(name, { fake = {}, weights = 'weights' } = {}) {
  const dir = join(HOME, name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, weights), { recursive: true });
  const { manifest, files } = fakeWeights(fake);
  writeFileSync(join(dir, weights, 'manifest.json'), manifest);
  for (const [file, data] of files) writeFileSync(join(dir, weights, file), data);
  return dir;
}

export function page(body, script = './app.js') {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Site</title></head><body>${body}<script type="module" src="${script}"></script></body></html>`;
}

/** Serves a folder with one set of headers for everything, as a careful host would, and remembers what was asked. */
export async function serveSite(t, dir, { csp = STRICT, base = '/', cors = false } = {}) {
  const files = handler({ root: dir, base });
  const log = [];
  const server = createServer((request, response) => {
    log.push(request.url);
    if (csp) response.setHeader('content-security-policy', csp);
    if (cors) response.setHeader('access-control-allow-origin', '*');
    return files(request, response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => (server.closeAllConnections(), new Promise((done) => server.close(done))));
  return { url: `http://127.0.0.1:${server.address().port}${base}`, log, shards: () => log.filter((url) => url.includes('.safetensors')) };
}
