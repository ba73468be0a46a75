// The npm package as its users have it: packed, installed, bundled by each bundler, and used in a page under a strict policy.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build as esbuild } from 'esbuild';
import { rollup } from 'rollup';
import { build as viteBuild, createServer as viteServer } from 'vite';
import webpack from 'webpack';
import vuePlugin from '@vitejs/plugin-vue';
import { importMetaAssets } from '@web/rollup-plugin-import-meta-assets';
import { zippedWasm } from '../pack/zip.mjs';
import { HOME, INSTALLED, STRICT, installPackage, page, serveSite, siteFolder } from './consumer.mjs';
import { answered, choose, drawnFace, modelReady, OUT, ready, startBrowser, startServer, WWW } from './harness.mjs';

const face = drawnFace();
let packed;
let browser;
before(async () => {
  packed = installPackage();
  browser = await startBrowser(null);
});
after(() => browser?.close());

const ELEMENT = '<facext-analyzer></facext-analyzer>';
/** The least that a consumer writes. */
const ENTRY = "import 'facext';\n";

/** Opens a site and uses it as a person would. Nothing may violate the policy. */
async function use(url, { prepare } = {}) {
  const from = browser.trouble.length;
  const view = await browser.context.newPage();
  if (prepare) await prepare(view);
  await view.goto(url);
  await ready(view);
  await choose(view, face);
  await answered(view);
  assert.equal(await view.locator('[data-test="phrase"]').count(), 2);
  assert.deepEqual(browser.trouble.slice(from), []);
  return view;
}

test('the tarball: what is in it, nothing to install with it, and its size', () => {
  const names = packed.files.map((f) => f.path);
  for (const name of ['dist/index.js', 'dist/element.js', 'dist/engine.js', 'dist/worker.js', 'dist/facext_bg.wasm.gz', 'dist/facext_cpu.wasm.gz', 'custom-elements.json', 'README.md', 'LICENSE', 'NOTICE', 'package.json']) {
    assert.ok(names.includes(name), `${name} is in the package`);
  }
  const json = JSON.parse(readFileSync(join(INSTALLED, 'package.json'), 'utf8'));
  assert.deepEqual([json.dependencies, json.peerDependencies, json.scripts], [undefined, undefined, undefined]);
  for (const [name, entry] of Object.entries(json.exports)) {
    if (typeof entry === 'object') assert.equal(Object.keys(entry)[0], 'types', `${name}: types come first`);
    for (const path of typeof entry === 'string' ? [entry] : Object.values(entry)) assert.ok(existsSync(join(INSTALLED, path)), `${name}: ${path}`);
  }
  // The engines of this package are the tests' own; the real ones, where they were built, count instead.
  let size = packed.unpackedSize;
  for (const [folder, name] of [['pkg', 'facext_bg'], ['pkg-cpu', 'facext_cpu']]) {
    const real = zippedWasm(join(WWW, folder), name);
    if (existsSync(real)) size += statSync(real).size - statSync(join(INSTALLED, `dist/${name}.wasm.gz`)).size;
  }
  assert.ok(size <= 8e6, `${size} bytes unpacked`);
});

test('the manifest describes the element as it is', async () => {
  const manifest = JSON.parse(readFileSync(join(INSTALLED, 'custom-elements.json'), 'utf8'));
  const element = manifest.modules.flatMap((m) => m.declarations).find((d) => d.tagName === 'facext-analyzer');
  assert.deepEqual(element.attributes.map((a) => a.name).sort(), ['asset-base', 'device', 'lang', 'src', 'weights-base', 'whole-page']);
  assert.deepEqual(element.events.map((e) => e.name).sort(), ['facext-error', 'facext-photo', 'facext-progress', 'facext-report', 'facext-state']);
  assert.deepEqual(element.slots.map((s) => s.name), ['intro', 'truth', 'gallery', 'footer']);
  assert.deepEqual(element.members.filter((m) => m.kind === 'method').map((m) => m.name).sort(), ['ask', 'load', 'open', 'stop']);
  assert.ok(element.cssParts.length > 3 && element.cssProperties.length > 3);
});

test('imported in Node: nothing happens, and nothing is missing', () => {
  const script = `
    const all = [await import('facext'), await import('facext/element'), await import('facext/engine')];
    const { Facext } = all[2];
    const code = await Facext.load().then(() => 'loaded', (fault) => fault.code);
    console.log(JSON.stringify([all.map((m) => Object.keys(m).sort()), code, typeof globalThis.document, typeof globalThis.HTMLElement]));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: HOME, encoding: 'utf8' });
  assert.deepEqual(JSON.parse(out), [
    [['FacextAnalyzer', 'define'], ['FacextAnalyzer', 'define'], ['Facext', 'Fault']],
    'program.broken',
    'undefined',
    'undefined',
  ]);
});

test('the types are complete without Lit, under both ways of resolving', () => {
  writeFileSync(join(HOME, 'use.ts'), `
    import 'facext';
    import { FacextAnalyzer, define, type Report } from 'facext/element';
    import { Facext, Fault, type AnalyzeEvent } from 'facext/engine';
    const analyzer = document.querySelector('facext-analyzer')!;
    analyzer.weightsBase = './weights/';
    analyzer.addEventListener('facext-report', (e) => { const r: Report = e.detail.report; console.log(r.faces[0]?.band); });
    analyzer.addEventListener('facext-error', (e) => console.log(e.detail.code.length));
    // @ts-expect-error an event of another name has no such detail
    analyzer.addEventListener('facext-photo', (e) => console.log(e.detail.code));
    const another: InstanceType<typeof FacextAnalyzer> = new FacextAnalyzer();
    define('my-analyzer');
    export async function run(blob: Blob, signal: AbortSignal): Promise<string> {
      const a = await Facext.load({ signal, onProgress: (e) => e.type === 'progress' && console.log(e.loaded / e.total) });
      for await (const e of a.analyze(blob, { task: 'age', region: 'mouth', signal })) {
        const event: AnalyzeEvent = e;
        if (event.type === 'report') return event.report.faces[0]?.answer ?? '';
      }
      // @ts-expect-error there is no such task
      a.analyze(blob, { task: 'all' });
      throw new Fault('cancelled', String(another));
    }`);
  for (const [module, moduleResolution] of [['nodenext', 'nodenext'], ['esnext', 'bundler']]) {
    const args = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--lib', 'es2023,dom,dom.iterable,dom.asynciterable', '--types', '', '--module', module, '--moduleResolution', moduleResolution, 'use.ts'];
    const done = execFileSync(process.execPath, [join(WWW, 'node_modules/typescript/bin/tsc'), ...args], { cwd: HOME, encoding: 'utf8' });
    assert.equal(done, '');
  }
});

test('plain HTML, from a sub-path', async (t) => {
  const dir = siteFolder('plain');
  cpSync(join(INSTALLED, 'dist'), join(dir, 'facext'), { recursive: true });
  writeFileSync(join(dir, 'index.html'), page(ELEMENT, './facext/index.js'));
  const site = await serveSite(t, dir, { base: '/some/where/' });
  const view = await use(site.url);
  assert.deepEqual(site.log.filter((url) => !url.startsWith('/some/where/') && url !== '/favicon.ico'), []);
  await view.close();
});

test('the example of the README, word for word', async (t) => {
  const readme = readFileSync(join(WWW, '../README.md'), 'utf8');
  const example = /## Embedding[\s\S]*?```html\n([\s\S]*?)```/.exec(readme)[1];
  assert.equal(example.trimEnd().split('\n').length, 10);
  const dir = siteFolder('readme');
  cpSync(join(INSTALLED, 'dist'), join(dir, 'facext'), { recursive: true });
  writeFileSync(join(dir, 'index.html'), example);
  const site = await serveSite(t, dir, { csp: null });
  const view = await use(site.url);
  assert.equal(await view.title(), 'signs');
  await view.close();
  // The engine's example, too, on the same site.
  const code = /```js\n(import \{ Facext \}[\s\S]*?)```/.exec(readme)[1].replace("'facext/engine'", "'./facext/engine.js'").replace('console.log(e)', 'window.told.push(e.type)');
  writeFileSync(join(dir, 'engine.js'), `const { signal } = new AbortController();\nconst onProgress = () => {};\nwindow.told = [];\nconst blob = await (await fetch('./face.png')).blob();\n${code}`);
  writeFileSync(join(dir, 'face.png'), face);
  writeFileSync(join(dir, 'engine.html'), page('', './engine.js'));
  const other = await browser.page(`${site.url}engine.html`);
  await other.waitForFunction(() => window.told?.at(-1) === 'report');
  await other.close();
});

test('the page that shows how to embed shows this example, and works', async (t) => {
  const site = await startServer();
  t.after(() => site.close());
  const view = await browser.page(`${site.url}embed.html`);
  assert.match(await view.locator('[data-example]').innerText(), /<facext-analyzer weights-base/);
  await ready(view);
  await choose(view, face);
  await answered(view);
  assert.match(await view.locator('#events').innerText(), /facext-report: signs[\s\S]*facext-state: ready/);
  await view.screenshot({ path: join(OUT, 'embed.png'), fullPage: true });
  await view.close();
});

test('Vite: build, and its development server', async (t) => {
  const dir = siteFolder('vite', { weights: 'public/weights' });
  writeFileSync(join(dir, 'app.js'), ENTRY);
  writeFileSync(join(dir, 'index.html'), page(ELEMENT));
  await viteBuild({ root: dir, base: './', configFile: false, logLevel: 'error' });
  const site = await serveSite(t, join(dir, 'dist'));
  await (await use(site.url)).close();

  const server = await viteServer({ root: dir, configFile: false, logLevel: 'error', server: { host: '127.0.0.1', port: 0, hmr: false } });
  t.after(() => server.close());
  await server.listen();
  await (await use(`http://127.0.0.1:${server.httpServer.address().port}/`)).close();
});

/** The first block of a language in the package's README, ten lines at most. */
function readmeExample(language) {
  const code = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(readFileSync(join(INSTALLED, 'README.md'), 'utf8'))[1];
  assert.ok(code.trimEnd().split('\n').filter((line) => line.trim()).length <= 10, code);
  return code;
}

for (const [name, language, csp] of [
  ['React', 'jsx', STRICT],
  // Vue names a policy of its own.
  ['Vue', 'vue', STRICT.replace('lit-html', 'lit-html vue')],
]) {
  test(`${name}: the example of the package's README, word for word, built with Vite`, async (t) => {
    const dir = siteFolder(language, { weights: 'public/weights' });
    const vue = { isCustomElement: (tag) => tag === 'facext-analyzer' };
    writeFileSync(join(dir, `example.${language}`), readmeExample(language));
    writeFileSync(join(dir, 'app.js'), language === 'jsx' ? "import './example.jsx';" : "import { createApp } from 'vue';\nimport App from './example.vue';\ncreateApp(App).mount('#app');");
    writeFileSync(join(dir, 'index.html'), page('<div id="app"></div>'));
    const plugins = language === 'vue' ? [vuePlugin({ template: { compilerOptions: vue } })] : [];
    await viteBuild({ root: dir, base: './', configFile: false, logLevel: 'error', plugins });
    const site = await serveSite(t, join(dir, 'dist'), { csp });
    const view = await use(site.url);
    assert.equal(await view.title(), 'signs');
    await view.close();
  });
}

test('webpack', async (t) => {
  const dir = siteFolder('webpack');
  writeFileSync(join(dir, 'app.js'), ENTRY);
  writeFileSync(join(dir, 'index.html'), page(ELEMENT, './main.js'));
  const stats = await new Promise((done, failed) =>
    webpack({ mode: 'production', context: dir, entry: './app.js', output: { path: dir, filename: 'main.js' }, performance: false }, (error, result) => (error ? failed(error) : done(result))),
  );
  assert.deepEqual(stats.toJson({ all: false, errors: true, warnings: true }).errors, []);
  const site = await serveSite(t, dir);
  await (await use(site.url)).close();
});

test('Rollup, with its plug-in for URLs of files', async (t) => {
  const dir = siteFolder('rollup');
  writeFileSync(join(dir, 'entry.js'), ENTRY);
  writeFileSync(join(dir, 'index.html'), page(ELEMENT));
  const resolver = { name: 'resolve', resolveId: (id) => (id === 'facext' ? join(INSTALLED, 'dist/index.js') : null) };
  const bundle = await rollup({ input: join(dir, 'entry.js'), plugins: [resolver, importMetaAssets()], onwarn: (w) => assert.fail(w.message) });
  await bundle.write({ file: join(dir, 'app.js'), format: 'es' });
  const site = await serveSite(t, dir);
  await (await use(site.url)).close();
});

test('esbuild, with three files copied and asset-base', async (t) => {
  const dir = siteFolder('esbuild', { weights: 'facext/weights' });
  writeFileSync(join(dir, 'entry.js'), ENTRY);
  await esbuild({ entryPoints: [join(dir, 'entry.js')], outfile: join(dir, 'app.js'), bundle: true, format: 'iife', logLevel: 'error', logOverride: { 'empty-import-meta': 'silent' } });
  for (const name of ['worker.js', 'facext_bg.wasm.gz', 'facext_cpu.wasm.gz']) cpSync(join(INSTALLED, 'dist', name), join(dir, 'facext', name));
  // The weights are looked for there, too.
  writeFileSync(join(dir, 'index.html'), page('<facext-analyzer asset-base="./facext"></facext-analyzer>'));
  const site = await serveSite(t, dir);
  await (await use(site.url)).close();
});

test('from another origin: script, worker, wasm and weights', async (t) => {
  const store = siteFolder('cdn');
  cpSync(join(INSTALLED, 'dist'), join(store, 'facext'), { recursive: true });
  const cdn = await serveSite(t, store, { csp: null, cors: true });
  const origin = new URL(cdn.url).origin;
  const dir = siteFolder('customer');
  writeFileSync(join(dir, 'index.html'), page(`<facext-analyzer weights-base="${cdn.url}weights/"></facext-analyzer>`, `${cdn.url}facext/index.js`));
  const csp = STRICT.replace("script-src 'self'", `script-src ${origin}`).replace("worker-src 'self'", `worker-src blob: ${origin}`).replace("connect-src 'self'", `connect-src ${origin}`);
  const site = await serveSite(t, dir, { csp });
  await (await use(site.url)).close();
  assert.equal(cdn.shards().length, 3);
  assert.deepEqual(site.log.filter((url) => !['/', '/favicon.ico'].includes(url)), []);
});

test('two elements share one engine, each with its own photo', async (t) => {
  const dir = siteFolder('two');
  cpSync(join(INSTALLED, 'dist'), join(dir, 'facext'), { recursive: true });
  writeFileSync(join(dir, 'index.html'), page(ELEMENT.repeat(2), './facext/index.js'));
  const site = await serveSite(t, dir);
  const view = await browser.page(site.url);
  const [one, two] = [0, 1].map((i) => view.locator('facext-analyzer').nth(i));
  await one.locator('[data-test="download"]').waitFor();
  await two.locator('[data-test="download"]').waitFor();
  await one.locator('[data-test="download"]').click();
  // The other one is ready without a click of its own.
  for (const element of [one, two]) await modelReady(element);
  assert.equal(site.shards().length, 3, 'each weight was fetched once');
  assert.equal(site.log.filter((url) => url.endsWith('.wasm.gz')).length, 1);
  assert.equal(view.workers().length, 2, 'one worker and its spare');
  const photos = { one: drawnFace(640, 480), two: drawnFace(320, 240) };
  await one.locator('input[type=file]').setInputFiles({ name: 'one.png', mimeType: 'image/png', buffer: photos.one });
  await two.locator('input[type=file]').setInputFiles({ name: 'two.png', mimeType: 'image/png', buffer: photos.two });
  for (const element of [one, two]) await element.locator('[data-test="result"][data-state="done"]').waitFor();
  // Asked again, in the other order: the engine must change photos back.
  const sizes = await view.evaluate(async () => {
    const elements = [...document.querySelectorAll('facext-analyzer')];
    await Promise.all(elements.map((element) => element.ask({ task: 'det' })));
    return elements.map(({ report }) => [report.file.name, report.file.width]);
  });
  assert.deepEqual(sizes, [['one.png', 640], ['two.png', 320]]);
  // One leaves; the other still works.
  await view.evaluate(async () => {
    const [first, second] = document.querySelectorAll('facext-analyzer');
    first.remove();
    await new Promise((done) => setTimeout(done, 2000));
    await second.ask({ task: 'age' });
  });
  assert.equal(await two.count(), 0);
  await view.locator('facext-analyzer [data-test="result"][data-state="done"] >> nth=2').waitFor();
  // Moved in the document: it keeps its photo.
  assert.equal(await view.evaluate(async () => {
    const element = document.querySelector('facext-analyzer');
    document.body.prepend(element);
    await new Promise((done) => setTimeout(done, 50));
    return element.photo.file.name;
  }), 'two.png');
  await view.evaluate(async () => {
    document.querySelector('facext-analyzer').remove();
    await new Promise((done) => setTimeout(done, 2000));
  });
  assert.equal(view.workers().length, 0, 'the last one ends the workers');
  await view.close();
});

test('properties set before the upgrade, events with their details, slots, parts and custom properties', async (t) => {
  const dir = siteFolder('upgrade', { weights: 'elsewhere' });
  cpSync(join(INSTALLED, 'dist'), join(dir, 'facext'), { recursive: true });
  writeFileSync(join(dir, 'early.js'), "document.querySelector('facext-analyzer').weightsBase = './elsewhere/';\nconst told = (window.told = []);\nfor (const type of ['state', 'progress', 'photo', 'report', 'error']) document.addEventListener('facext-' + type, (e) => told.push([type, e.detail]));\nawait import('./facext/index.js');\n");
  writeFileSync(join(dir, 'site.css'), 'facext-analyzer { --accent: rgb(1, 2, 3); } facext-analyzer::part(model) { border-top: 7px solid red; }');
  writeFileSync(join(dir, 'index.html'), page('<link rel="stylesheet" href="./site.css"><facext-analyzer><p slot="intro">Own words</p></facext-analyzer>', './early.js'));
  const site = await serveSite(t, dir);
  const view = await browser.page(site.url);
  const button = view.locator('[data-test="download"]');
  await button.waitFor();
  assert.match(await button.innerText(), /900 kB/, 'the click states its size');
  assert.equal(site.shards().length, 0, 'and nothing is fetched before it');
  assert.equal(await button.evaluate((node) => getComputedStyle(node).backgroundColor), 'rgb(1, 2, 3)');
  assert.equal(await view.locator('[part="model"]').evaluate((node) => getComputedStyle(node).borderTopWidth), '7px');
  assert.ok(await view.getByText('Own words').isVisible());
  await ready(view);
  await choose(view, face, 'photo.png');
  await answered(view);
  await choose(view, Buffer.from('text'), 'letter.jpg');
  await view.locator('[data-test="problem"]').waitFor();
  const told = await view.evaluate(() => window.told);
  assert.deepEqual(told.filter(([type]) => type === 'state').map(([, d]) => d.state), ['preparing', 'needed', 'loading', 'ready'].slice(told.find(([, d]) => d.state)[1].state === 'preparing' ? 0 : 1));
  const needed = told.find(([, d]) => d.state === 'needed')[1];
  assert.ok(needed.missing > 900_000 && needed.missing === needed.total);
  const last = told.findLast(([type]) => type === 'progress')[1];
  assert.equal(last.loaded, last.total);
  assert.equal(told.find(([type]) => type === 'photo')[1].opened.file.name, 'photo.png');
  assert.equal(told.find(([type]) => type === 'report')[1].report.faces[0].band, 'signs');
  assert.equal(told.find(([type]) => type === 'error')[1].code, 'image.not_an_image');
  await view.close();
});

test('the engine without the element: load, stream, stop, leave early', async (t) => {
  const dir = siteFolder('engine', { fake: { token_ms: 20 } });
  cpSync(join(INSTALLED, 'dist'), join(dir, 'facext'), { recursive: true });
  writeFileSync(join(dir, 'face.png'), face);
  writeFileSync(join(dir, 'app.js'), "window.engine = await import('./facext/engine.js');\n");
  writeFileSync(join(dir, 'index.html'), page(''));
  const site = await serveSite(t, dir);
  const view = await browser.page(site.url);
  await view.waitForFunction(() => window.engine);
  const result = await view.evaluate(async () => {
    const { Facext } = window.engine;
    const code = (promise) => promise.then(() => 'done', (fault) => fault.code);
    const out = {};
    out.size = await Facext.size();
    out.aborted = await code(Facext.load({ signal: AbortSignal.abort() }));
    const progress = [];
    const a = await Facext.load({ onProgress: (e) => progress.push(e) });
    out.last = progress.findLast((e) => e.type === 'progress');
    const blob = await (await fetch('./face.png')).blob();
    out.events = [];
    for await (const e of a.analyze(blob, { task: 'age', region: 'mouth' })) out.events.push(e.type);
    // Stopped from outside, in the middle.
    const stop = new AbortController();
    out.stopped = await code((async () => {
      for await (const e of a.analyze(blob, { signal: stop.signal })) if (e.type === 'text') stop.abort();
    })());
    // Left in the middle, then asked again; two questions at once about two photos keep them apart.
    for await (const e of a.analyze(blob)) if (e.type === 'verdict') break;
    const other = new Uint8Array(await blob.arrayBuffer());
    const ask = async (photo, options) => {
      for await (const e of a.analyze(photo, options)) if (e.type === 'report') return [e.report.file.name, e.report.faces[0].answer.slice(0, 17)];
    };
    out.two = await Promise.all([ask(blob, { name: 'first', region: 'nose' }), ask(other, { name: 'second', region: 'chin' })]);
    const waiting = new AbortController();
    const first = ask(blob, {});
    const second = code(ask(blob, { signal: waiting.signal }));
    const since = performance.now();
    waiting.abort();
    out.waited = [await second, performance.now() - since < 200];
    await first;
    out.bad = await code(ask(new Blob(['text']), {}));
    a.dispose();
    out.disposed = await code(ask(blob, {}));
    return out;
  });
  assert.ok(result.size.missing > 900_000 && result.size.missing === result.size.total);
  assert.equal(result.aborted, 'cancelled');
  assert.equal(result.last.loaded, result.last.total);
  assert.equal(result.events[0], 'opened');
  for (const type of ['stage', 'verdict', 'text', 'phrase', 'mask']) assert.ok(result.events.includes(type), type);
  assert.equal(result.events.at(-1), 'report');
  assert.equal(result.stopped, 'cancelled');
  assert.deepEqual(result.two, [['first', 'About nose: the l'], ['second', 'About chin: the l']]);
  assert.deepEqual(result.waited, ['cancelled', true]);
  assert.equal(result.bad, 'image.not_an_image');
  assert.equal(result.disposed, 'cancelled');
  await view.close();
});
