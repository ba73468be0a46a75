/** A photo named by its address: asked about first, fetched only after a click. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Words } from './words';

/** `src` as an absolute URL; null where it is none that can be fetched. */
export function sourceUrl(src: string): URL | null {
  if (!src || !URL.canParse(src, document.baseURI)) return null;
  const url = new URL(src, document.baseURI);
  return ['https:', 'http:', 'blob:', 'data:'].includes(url.protocol) ? url : null;
}

export function sourceCard(w: Words, src: string, fetchIt: (url: URL) => void, no: () => void): TemplateResult | typeof nothing {
  const url = sourceUrl(src);
  if (!url) return nothing;
  const foreign = url.origin !== location.origin && url.protocol.startsWith('http');
  const name = (url.protocol.startsWith('http') && plain(url.pathname).split('/').pop()) || w.source.photo;
  return html`<section class="card stack" part="source" aria-label=${w.source.label} data-test="source">
    <h2>${w.source.title(name)}</h2>
    <p class="soft small">${foreign ? w.source.foreign(url.host) : w.source.own}</p>
    <div class="row">
      <button class="primary" data-test="source-yes" @click=${() => fetchIt(url)}>${w.source.yes}</button>
      <button data-test="source-no" @click=${no}>${w.source.no}</button>
    </div>
  </section>`;
}

/** A path as a person writes it; one that is written wrongly stays as it is. */
function plain(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}

/** The photo at an address, with no cookies and no referrer. Rejects where the site, its CORS rules or this page's policy say no. */
export async function fetchPhoto(url: URL): Promise<File> {
  const answer = await fetch(url, { mode: 'cors', credentials: 'omit', referrerPolicy: 'no-referrer', redirect: 'follow' });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return new File([await answer.blob()], url.pathname.split('/').pop() || 'photo');
}
