/** What the page loads later (`lazy.ts`) as parts of the npm package, which are there from the beginning. */
import * as inChinese from './chinese';
import * as inPseudo from './pseudo';
import * as forSaving from './saving';
import * as inEnglish from './words-en';

export const english = () => Promise.resolve(inEnglish);
export const chinese = () => Promise.resolve(inChinese);
export const pseudo = () => Promise.resolve(inPseudo);
export const saving = () => Promise.resolve(forSaving);
export const here = { english: inEnglish, chinese: inChinese };
