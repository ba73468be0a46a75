/**
 * A "language" for tests, `en-XA`: English made longer and unmistakable, so that a test sees every word that was not taken from the wording,
 * and every place where longer words do not fit.
 */
import type { Words } from './words-en';

const ACCENTS: Record<string, string> = { a: 'á', e: 'é', i: 'í', o: 'ó', u: 'ú', A: 'Á', E: 'É', I: 'Í', O: 'Ó', U: 'Ú', n: 'ñ', c: 'ç', y: 'ý' };

/** Every text in brackets, with accents and a third longer: what is not bracketed on the page was not taken from here. */
export function pseudo(value: unknown, key = ''): unknown {
  if (typeof value === 'string') {
    // A key on the keyboard stays one, and what is sent to the model is not shown.
    if (key === 'key' || value === '') return value;
    return `[${value.replace(/[a-z]/gi, (letter) => ACCENTS[letter] ?? letter)}${' ~~~~'.repeat(Math.ceil(value.length / 15))}]`;
  }
  if (typeof value === 'function') return (...args: unknown[]) => pseudo((value as (...args: unknown[]) => unknown)(...args));
  if (Array.isArray(value)) return value.map((item) => pseudo(item));
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, name === 'suggested' ? pseudoSuggested(item) : pseudo(item, name)]));
  return value;
}

function pseudoSuggested(value: Words['suggested']): Words['suggested'] {
  const each = (list: string[][]) => list.map(([shown, sent]) => [String(pseudo(shown)), sent!]);
  return Object.fromEntries(Object.entries(value).map(([task, { face, region }]) => [task, { face: each(face), region: each(region) }]));
}
