/**
 * Wording by stable code, in the language of the element. The engine and the worker speak in codes; sentences stand in `words-en.ts` and
 * `words-zh.ts` and nowhere else, and a language is loaded when it is asked for (`learn`). A third "language" for tests, `en-XA`, is English
 * made longer and unmistakable.
 */
import * as lazy from '#lazy';
import type { DeviceInfo, MaskOut, Region, Task } from './protocol';
import type { Piece } from './run';
import type { ErrorWords, Words } from './words-en';

export type { Words };
export type Language = 'en' | 'zh' | 'en-XA';

/** The nearest language that there is; English where there is none. */
export function languageOf(tag: string | null | undefined): Language {
  const wanted = (tag ?? '').toLowerCase();
  return wanted === 'en-xa' ? 'en-XA' : wanted === 'zh' || wanted.startsWith('zh-') ? 'zh' : 'en';
}

// What was loaded; asked for only when it is used, because the package's `lazy.here` may not be there yet while the modules start.
const loaded: typeof lazy.here = {};
let pseudo: Words | undefined;
const english = () => (loaded.english ?? lazy.here.english)?.en;
const chinese = () => (loaded.chinese ?? lazy.here.chinese)?.zh;

const explainer = () => loaded.explainer ?? lazy.here.explainer;

/** Whether `wordsOf` has this language already. */
export function knows(language: Language): boolean {
  return (language === 'en' ? english() : language === 'zh' ? chinese() : pseudo) !== undefined;
}

/** Loads a language. Rejects where its file cannot be had. */
export async function learn(language: Language): Promise<void> {
  if (knows(language)) return;
  if (language === 'zh') {
    // Needed with the first answer only; without it answers stay English, and say so.
    lazy.explainer().then((module) => (loaded.explainer = module), () => {});
    loaded.chinese = await lazy.chinese();
    return;
  }
  loaded.english ??= await lazy.english();
  if (language === 'en-XA') pseudo = (await lazy.pseudo()).pseudo(loaded.english.en) as Words;
}

/** The wording; of a language that was not learnt, that of one that was. */
export function wordsOf(language: Language): Words {
  const words = (language === 'zh' ? chinese() : language === 'en-XA' ? pseudo : english()) ?? english() ?? chinese();
  if (!words) throw new Error('no language was loaded');
  return words;
}

/** An answer in Chinese, or null where its form is not known. */
export function inChinese(pieces: readonly Piece[], regions: readonly Region[]): Piece[] | null {
  return explainer()?.explainZh(pieces, regions) ?? null;
}

/** What stands in the `lang` attribute. */
export const TAGS: Record<Language, string> = { en: 'en', zh: 'zh-Hans', 'en-XA': 'en-XA' };

export function errorWords(w: Words, code: string): ErrorWords {
  return w.errors[code] ?? w.errors['unknown']!;
}

export function noFaceWords(w: Words, reason: string | null): string {
  return w.noFace[reason ?? 'none'] ?? w.noFace['none']!;
}

/** The tasks that the form offers, in its order. */
export const TASKS: readonly (Task & ('age' | 'toe' | 'loc'))[] = ['age', 'toe', 'loc'];

export function deviceWords(w: Words, device: DeviceInfo): string {
  const what = `${w.deviceKinds[device.kind](device.threads)}${device.kind === 'gpu' && device.name ? ` (${device.name})` : ''}`;
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

/** What was measured at a mark; null for reports that do not say. */
export function measuredWords(w: Words, mask: MaskOut): string | null {
  // The Chinese ones come with the answers in Chinese.
  const words = w.measured ?? explainer()?.measured;
  if (!mask.measured || !words) return null;
  const { low, high, some, none } = words;
  const list = mask.measured.map(({ measure, value, median }) => (value < median ? low : high)[measure] ?? measure.replaceAll('_', ' '));
  return list.length ? some(list) : none;
}

/** How far to trust a mask, by the model's own estimate; the lower limit is that of `overlay.ts`. */
export function qualityWords(w: Words, quality: number): string {
  return quality >= 0.6 ? w.quality.clear : quality >= 0.35 ? w.quality.rough : w.quality.weak;
}
