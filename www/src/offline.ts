/**
 * The page's side of the service worker: registers it once everything else is done, keeps the engine of a first visit for it, lets a new
 * version in while nothing is lost by it, and fetches a photo that another app shared.
 */
import { assetUrls } from '#assets';
import { engineFor } from './choice';
import { trusted } from './spawn';

const SHARED_CACHE = 'facext-shared';
const ENGINES = 'facext-engine';
/** How long a fresh page, which starts its model first, may take until it has nothing to lose; later a person may be about to do something. */
const TRIES = 20;
const PAUSE_MS = 250;

/** `idle` says whether the page may be reloaded without losing a photo or a download; `device` is the wish that the engine was chosen by. */
export function workOffline(idle: () => boolean, device: string): void {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  const start = async () => {
    const known = workers.controller !== null;
    const registration = await workers.register(trusted(new URL('./sw.js', document.baseURI).href));
    // Fetched before there was a service worker. It keeps the next ones.
    if (!known) void workers.ready.then(() => keepEngine(device)).catch(() => {});
    // A version that waited since the last visit takes over now, or never while this page is in use.
    if (!registration.waiting || !known) return;
    for (let left = TRIES; left > 0 && !idle(); left--) await new Promise((done) => setTimeout(done, PAUSE_MS));
    if (idle()) {
      workers.addEventListener('controllerchange', () => idle() && location.reload(), { once: true });
      registration.waiting?.postMessage({ type: 'SKIP_WAITING' });
    }
  };
  // Private windows and some settings refuse; the page works all the same.
  const quietly = () => void start().catch(() => {});
  if (document.readyState === 'complete') quietly();
  else window.addEventListener('load', quietly, { once: true });
}

async function keepEngine(device: string): Promise<void> {
  const url = assetUrls('').wasm[await engineFor(device)];
  const cache = await caches.open(ENGINES);
  if (!(await cache.match(url))) await cache.add(url);
}

/** The photo that was shared to this app, taken out of its waiting place; null if there is none. */
export async function sharedPhoto(): Promise<File | null> {
  const address = new URL(location.href);
  if (!address.searchParams.has('shared')) return null;
  address.searchParams.delete('shared');
  history.replaceState(null, '', address);
  const cache = await caches.open(SHARED_CACHE);
  const url = new URL('./shared-photo', document.baseURI).href;
  const kept = await cache.match(url);
  if (!kept) return null;
  await cache.delete(url);
  return new File([await kept.blob()], decodeURIComponent(kept.headers.get('x-name') ?? 'photo'));
}
