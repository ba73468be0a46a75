/**
 * The page's ready examples: three pictures of one portrait that the build made, the truth of each shown beside the answer.
 *
 * They are put into the element's slots from outside, as any embedding page could do. A build without them (`www/gallery/` absent)
 * shows none. An example is fetched after a click, from this site.
 */
import type { FacextAnalyzerElement } from './widget-types';
import type { Words } from './words';

/** As `facext demo` writes them. */
interface Example {
  kind: 'untouched' | 'crude' | 'subtle';
  sha256: string;
  recipe: string | null;
  parts: string[];
}

const pictures: Record<string, string> = import.meta.glob('../gallery/*.png', { query: '?url', import: 'default', eager: true });
const lists: Record<string, Example[]> = import.meta.glob('../gallery/gallery.json', { import: 'default', eager: true });
const examples = Object.values(lists)[0] ?? [];
const picture = (name: string) => pictures[`../gallery/${name}.png`] ?? '';

function node<K extends keyof HTMLElementTagNameMap>(tag: K, set: Partial<HTMLElementTagNameMap[K]> = {}, ...inside: (Node | string)[]): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), set);
  made.append(...inside);
  return made;
}

export function showGallery(element: FacextAnalyzerElement, w: Words): void {
  if (!examples.length) return;
  const g = w.gallery;
  const cards = examples.map((example) => {
    const words = g.kinds[example.kind];
    const button = node('button', { type: 'button' }, node('img', { src: picture(`${example.kind}-small`), alt: '', width: 112, height: 112 }), node('span', {}, words.name));
    button.dataset.test = `example-${example.kind}`;
    button.addEventListener('click', () => void open(element, example));
    return node('li', {}, button);
  });
  element.append(node('section', { slot: 'gallery', className: 'gallery' }, node('h2', {}, g.title), node('p', {}, g.lead), node('ul', {}, ...cards)));

  // The truth stands beside the answer, whichever way the picture came in.
  const truth = node('section', { slot: 'truth', className: 'gallery truth', hidden: true });
  truth.dataset.test = 'truth';
  element.append(truth);
  element.addEventListener('facext-photo', (event) => {
    const example = examples.find(({ sha256 }) => sha256 === event.detail.opened.file.sha256);
    truth.hidden = !example;
    truth.replaceChildren();
    if (!example) return;
    truth.append(node('h2', {}, g.truth), node('p', {}, g.kinds[example.kind].truth));
    if (example.recipe) truth.append(node('img', { src: picture(`${example.kind}-truth`), alt: g.changedPlace, width: 224, height: 239 }));
    truth.append(node('p', {}, g.note));
  });
}

async function open(element: FacextAnalyzerElement, example: Example): Promise<void> {
  const answer = await fetch(picture(example.kind));
  if (answer.ok) await element.open(new File([await answer.blob()], `${example.kind}.png`, { type: 'image/png' }));
}
