/**
 * Parts of the page that a visit may not need, each a file of its own: the languages, the pseudo-language of the tests, saving; and
 * the overlay and answers in Chinese, which the first view does not need.
 *
 * The npm package has a file of its own for this, too (`lazy-pack.ts`): there everything is one module, because not every bundler of
 * other people takes a module that loads others later.
 */
export const english = () => import('./words-en');
export const chinese = () => import('./words-zh');
export const explainer = () => import('./explain-zh');
export const pseudo = () => import('./pseudo');
export const overlay = () => import('./overlay');
export const saving = () => import('./saving');

/** Languages that need no loading. */
export const here: { english?: Awaited<ReturnType<typeof english>>; chinese?: Awaited<ReturnType<typeof chinese>>; explainer?: Awaited<ReturnType<typeof explainer>> } = {};
