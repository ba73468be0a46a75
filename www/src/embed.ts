/** The page that shows how to embed the element: the example of the README, the element itself, and what it tells. */
import './page.css';
import { define } from './element';
import type { FacextEventMap } from './widget-types';
import { learn } from './words';

/** Put in by the build. */
declare const README_EXAMPLE: string;

document.querySelector('[data-example]')?.replaceChildren(README_EXAMPLE.trimEnd());

const list = document.querySelector('#events');
const kept = 20;
function tell<K extends keyof FacextEventMap>(type: K, words: (detail: FacextEventMap[K]['detail']) => string): void {
  document.querySelector('#live')?.addEventListener(type, (event) => {
    const item = document.createElement('li');
    item.textContent = `${type}: ${words((event as FacextEventMap[K]).detail)}`;
    list?.prepend(item);
    while (list && list.children.length > kept) list.lastElementChild?.remove();
  });
}
tell('facext-state', ({ state, missing }) => (state === 'needed' ? `${state}, ${missing} bytes to fetch` : state));
tell('facext-photo', ({ opened }) => `${opened.file.width} × ${opened.file.height}, ${opened.faces.length} faces`);
tell('facext-report', ({ report }) => report.faces.map((face) => face.band).join(', ') || (report.reason ?? ''));
tell('facext-error', ({ code }) => code);
void learn('en').then(() => define());
