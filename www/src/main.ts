/**
/**
 * The page: registers the element, after handing it the query parameters that a person or a test may set, and words what stands around it.
 *
 * `?lang=en|zh` (default: the browser's first language), `?weights=./weights-tiny/` another weights directory beside the page, `?device=cpu|gpu`,
 * `?src=` address of a photo.
 */
import './page.css';
import { showGallery } from './gallery';
import { sharedPhoto, workOffline } from './offline';
import { TAGS, languageOf, learn, wordsOf } from './words';

const query = new URLSearchParams(location.search);
const element = document.querySelector('facext-analyzer');
const weights = query.get('weights');
// Only a place of this site: a link must not be able to point the page at somebody else's weights.
if (element && weights && new URL(weights, document.baseURI).origin === location.origin) element.setAttribute('weights-base', weights);
const device = query.get('device');
if (element && (device === 'cpu' || device === 'gpu')) element.setAttribute('device', device);
// A photo by its address: the element asks before it fetches anything.
const src = query.get('src');
if (element && src) element.setAttribute('src', src);

const language = languageOf(query.get('lang') ?? navigator.languages[0]);
// Both at once; where the language's file cannot be had the page is English.
const [{ define }] = await Promise.all([import('./element'), learn(language).catch(() => learn('en'))]);
const words = wordsOf(language);
const { page } = words;
document.documentElement.lang = TAGS[language];
document.title = page.title;
for (const [name, text] of Object.entries(page)) document.querySelector(`[data-words="${name}"]`)?.replaceChildren(text);
for (const link of document.querySelectorAll<HTMLAnchorElement>('nav a[hreflang]')) {
  const other = new URLSearchParams(query);
  other.set('lang', link.hreflang === 'en' ? 'en' : 'zh');
  link.href = `?${other}`;
  if (link.hreflang === TAGS[language]) link.setAttribute('aria-current', 'true');
}
if (element) showGallery(element, words);
define();
workOffline(() => !element?.photo && (element?.state === 'needed' || element?.state === 'ready'), element?.getAttribute('device') ?? 'auto');
void sharedPhoto().then((photo) => photo && element?.open(photo), () => {});
