/**
 * The page: registers the element, after handing it the query parameters that a link may set.
 *
 * `?weights=./weights-tiny/` another weights directory beside the page, `?device=cpu|gpu`, `?src=` address of a photo.
 */
import './page.css';
import { define } from './element';
import { sharedPhoto, workOffline } from './offline';

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
define();
workOffline(() => !element?.photo && (element?.state === 'needed' || element?.state === 'ready'));
void sharedPhoto().then((photo) => photo && element?.open(photo), () => {});
