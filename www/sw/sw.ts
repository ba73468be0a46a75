/**
 * The service worker: the page works without a connection after its first visit, and takes photos that other apps share.
 *
 * Kept here are the page's own files, of the two engines the one that was used, and the list of weights; the weights themselves are in the
 * page's storage already and are never kept twice. A new version waits until no page of the old one is open (or a fresh one asks it to go on), so that files never mix.
 */
import { precacheAndRoute } from 'workbox-precaching';
import { registerRoute } from 'workbox-routing';
import { CacheFirst, NetworkFirst } from 'workbox-strategies';

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };

/** Where a shared photo waits for the page, for a second or so. */
const SHARED_CACHE = 'facext-shared';
const SHARED_PHOTO = './shared-photo';
const ENGINES = 'facext-engine';

// The list of weights: fresh where there is a network, else the last one.
const lists = new NetworkFirst({ cacheName: 'facext-lists', networkTimeoutSeconds: 10 });
const isList = (url: URL) => url.origin === self.location.origin && /\/weights[^/]*\/manifest\.json$/.test(url.pathname);
registerRoute(({ url }) => isList(url), lists);
self.addEventListener('install', (event) => {
  // The first page that asked was not controlled by this worker yet.
  const request = new Request('./weights/manifest.json', { cache: 'no-cache' });
  event.waitUntil(lists.handle({ event, request }).then(() => undefined, () => undefined));
});

registerRoute(
  ({ url, request }) => request.method === 'POST' && url.origin === self.location.origin && url.searchParams.has('share'),
  async ({ request, url }) => {
    const photo = (await request.formData()).get('photo');
    const home = new URL('./', url);
    if (photo instanceof File) {
      const cache = await caches.open(SHARED_CACHE);
      const headers = { 'content-type': photo.type || 'application/octet-stream', 'x-name': encodeURIComponent(photo.name) };
      await cache.put(SHARED_PHOTO, new Response(photo, { headers }));
      home.searchParams.set('shared', '');
    }
    return Response.redirect(home.href, 303);
  },
  'POST',
);

// Of the engines only what a page used is kept (the first visit's by the page, `src/offline.ts`), and its successor when there is one.
const isEngine = (url: string) => /\.wasm[^/]*\.gz$/.test(url);
const files: { url: string; revision: string | null }[] = self.__WB_MANIFEST;
const engines = files.map(({ url }) => new URL(url, self.location.href).href).filter(isEngine);
registerRoute(({ url }) => engines.includes(url.href), new CacheFirst({ cacheName: ENGINES }));
const nameOf = (url: string) => /([^/]*)\.wasm/.exec(url)?.[1];
self.addEventListener('install', (event) => event.waitUntil(successors()));
self.addEventListener('activate', (event) => event.waitUntil(forget()));

async function successors(): Promise<void> {
  const cache = await caches.open(ENGINES);
  const kept = (await cache.keys()).map(({ url }) => url);
  const wanted = engines.filter((url) => !kept.includes(url) && kept.some((old) => nameOf(old) === nameOf(url)));
  await cache.addAll(wanted);
}

async function forget(): Promise<void> {
  const cache = await caches.open(ENGINES);
  for (const request of await cache.keys()) if (!engines.includes(request.url)) await cache.delete(request);
}

// A query says what the page shall do, not which page it is.
precacheAndRoute(files.filter(({ url }) => !isEngine(url)), { ignoreURLParametersMatching: [/^(device|weights|src|lang|share|shared)$/] });

self.addEventListener('message', (event) => {
  if (event.data?.type !== 'SKIP_WAITING') return;
  // Only for a page that is alone: another one, of the old version, may still need the old files.
  const pages = self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  event.waitUntil(pages.then((all) => (all.length > 1 ? undefined : self.skipWaiting())));
});
