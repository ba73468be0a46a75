/**
 * Wording by stable code, in the language of the element. The engine and the worker speak in codes; sentences stand in `words-en.ts` and
 * `words-zh.ts` and nowhere else. A third "language" for tests, `en-XA`, is English made longer and unmistakable.
 */
import type { DeviceInfo, Region, Task } from './protocol';
import { en, type ErrorWords, type Words } from './words-en';
import { zh } from './words-zh';

export type { Words };
export type Language = 'en' | 'zh' | 'en-XA';

/** The nearest language that there is; English where there is none. */
export function languageOf(tag: string | null | undefined): Language {
  const wanted = (tag ?? '').toLowerCase();
  return wanted === 'en-xa' ? 'en-XA' : wanted === 'zh' || wanted.startsWith('zh-') ? 'zh' : 'en';
}

export function wordsOf(language: Language): Words {
  return language === 'zh' ? zh : language === 'en-XA' ? (pseudo(en) as Words) : en;
}

/** What stands in the `lang` attribute. */
export const TAGS: Record<Language, string> = { en: 'en', zh: 'zh-Hans', 'en-XA': 'en-XA' };

const ACCENTS: Record<string, string> = { a: 'á', e: 'é', i: 'í', o: 'ó', u: 'ú', A: 'Á', E: 'É', I: 'Í', O: 'Ó', U: 'Ú', n: 'ñ', c: 'ç', y: 'ý' };

/** Every text in brackets, with accents and a third longer: what is not bracketed on the page was not taken from here. */
function pseudo(value: unknown, key = ''): unknown {
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

export function errorWords(w: Words, code: string): ErrorWords {
  return w.errors[code] ?? w.errors['unknown']!;
}

export function noFaceWords(w: Words, reason: string | null): string {
  return w.noFace[reason ?? 'none'] ?? w.noFace['none']!;
}

/** The tasks that the form offers, in its order. */
export const TASKS: readonly (Task & ('age' | 'toe' | 'loc'))[] = ['age', 'toe', 'loc'];

export function deviceWords(w: Words, device: DeviceInfo): string {
  const what = `${w.deviceKinds[device.kind]}${device.name ? ` (${device.name})` : ''}`;
  return w.deviceOn(w.deviceJoin(what, w.deviceReasons[device.reason] ?? device.reason.replaceAll('_', ' ')));
}

export function warningWords(w: Words, code: string): string {
  return w.warnings[code] ?? w.unknownWarning(code.replaceAll('_', ' '));
}

/** Name of a part of the face, from the engine's tree. */
export function partName(language: Language, regions: readonly Region[], id: string): string {
  const region = regions.find((r) => r.id === id);
  return (language === 'zh' ? region?.zh : region?.en) ?? id.replaceAll('_', ' ');
}

/** 12,345,678 → "12.3 MB". Decimal units, as downloads are usually given. */
export function bytesWords(w: Words, bytes: number): string {
  if (bytes < 1000) return `${bytes} ${w.bytes}`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, 'kB'] : bytes < 1e9 ? [bytes / 1e6, 'MB'] : [bytes / 1e9, 'GB'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export function percentWords(w: Words, share: number): string {
  const percent = share * 100;
  return percent > 0 && percent < 1 ? w.underOne : w.percent(Math.round(percent));
}

/** How far to trust a mask, by the model's own estimate; the lower limit is that of `overlay.ts`. */
export function qualityWords(w: Words, quality: number): string {
  return quality >= 0.6 ? w.quality.clear : quality >= 0.35 ? w.quality.rough : w.quality.weak;
}
