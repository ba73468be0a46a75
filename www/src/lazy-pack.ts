/** What the page loads later (`lazy.ts`) as parts of the npm package, which are there from the beginning. */
import * as inPseudo from './pseudo';
import * as explains from './explain-zh';
import * as forMarks from './overlay';
import * as forSaving from './saving';
import * as inEnglish from './words-en';
import * as inChinese from './words-zh';

export const english = () => Promise.resolve(inEnglish);
export const chinese = () => Promise.resolve(inChinese);
export const explainer = () => Promise.resolve(explains);
export const pseudo = () => Promise.resolve(inPseudo);
export const overlay = () => Promise.resolve(forMarks);
export const saving = () => Promise.resolve(forSaving);
export const here = { english: inEnglish, chinese: inChinese, explainer: explains };
