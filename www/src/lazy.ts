/**
 * Parts of the page that a visit may not need, each a file of its own: the languages, the pseudo-language of the tests, saving.
 *
 * The npm package has a file of its own for this, too (`lazy-pack.ts`): there everything is one module, because not every bundler of
 * other people takes a module that loads others later.
 */
export const english = () => import('./words-en');
export const chinese = () => import('./chinese');
export const pseudo = () => import('./pseudo');
export const saving = () => import('./saving');

/** Languages that need no loading. */
export const here: { english?: Awaited<ReturnType<typeof english>>; chinese?: Awaited<ReturnType<typeof chinese>> } = {};
