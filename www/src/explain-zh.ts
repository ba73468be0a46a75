/**
 * Answers of the known forms in Chinese: the same spans with the same masks, word for word from a table. The forms are those that the model
 * was trained on (`src/native/annotate/wording.rs`; a test holds the two together). An answer with one sentence of another form is not
 * translated at all, because half a translation misleads.
 */
import type { Region } from './protocol';
import type { Piece } from './run';
import type { Words } from './words-en';

const FOUND = ['Signs of forgery were found', 'There are signs of forgery'];
const NOT_FOUND = ['No sign of forgery was found', 'There is no sign of forgery'];

/** [of one, of several] → what is said. */
const FINDINGS: [string, string, string][] = [
  ['does not match the skin around it in colour and texture', 'do not match the skin around them in colour and texture', '与周围皮肤的颜色和纹理不一致'],
  ['looks pasted in: its border does not fit', 'look pasted in: their borders do not fit', '像是贴上去的：边界不吻合'],
  ['has a border where colour and sharpness change', 'have borders where colour and sharpness change', '有一条边界，颜色和清晰度在那里改变'],
  ['differs in tone from the face around it', 'differ in tone from the face around them', '色调与周围的面部不同'],
  ['lacks fine detail', 'lack fine detail', '缺少细节'],
  ['is blurred next to its surroundings', 'are blurred next to their surroundings', '比周围模糊'],
  ['is unusually smooth', 'are unusually smooth', '异常平滑'],
  ['has lost its natural skin texture', 'have lost their natural skin texture', '失去了自然的皮肤纹理'],
  ['looks filled in from the skin around it', 'look filled in from the skin around them', '像是用周围的皮肤填补的'],
  ['has an even tone where structure is expected', 'have an even tone where structure is expected', '本应有结构之处色调均匀'],
  ['has a bent shape', 'have a bent shape', '形状弯曲'],
  ['is pulled out of its natural shape', 'are pulled out of their natural shape', '被拉离了自然形状'],
  ['was changed', 'were changed', '被改动过'],
];

const WHOLE: Record<string, string> = {
  'This fits a face swap: parts were blended in from another picture': '这符合换脸：部分内容由另一张图片融合而来',
  'This fits a reenactment: features were moved': '这符合面部重演：五官被移动过',
  'This fits an attribute edit: parts were retouched': '这符合局部编辑：部分被修饰过',
  'This fits entire synthesis: the whole picture was generated': '这符合整体生成：整张图片由程序生成',
  'This fits a face swap': '这符合换脸',
  'This fits a reenactment': '这符合面部重演',
  'This fits an attribute edit': '这符合局部编辑',
  'This fits entire synthesis': '这符合整体生成',
};

const CHECKED: Record<string, string> = {
  'in the eyes, the nose, the mouth, the skin and the outline of the face': '在眼、鼻、嘴、皮肤和面部轮廓中',
  'in the eyebrows, the eyes, the nose, the mouth and the skin': '在眉、眼、鼻、嘴和皮肤中',
  'in the colour, the texture and the shape of the face': '在面部的颜色、纹理和形状中',
  'in the marked box': '在标出的方框中',
};

/** What was measured at a mark. */
export const measured: NonNullable<Words['measured']> = {
  some: (list) => `此处实测：${list.join('；')}。`,
  none: '此处测量无异常：文字仅为模型所言。',
  low: {
    sharpness: '较周围模糊',
    sharpness_mirror: '较对侧模糊',
    grain: '较周围平滑',
    grain_mirror: '较对侧平滑',
    red: '偏绿',
    blue: '偏黄',
    proportion: '偏小',
  },
  high: {
    sharpness: '较周围清晰',
    sharpness_mirror: '较对侧清晰',
    grain: '较周围粗糙',
    grain_mirror: '较对侧粗糙',
    seam: '边界突变',
    red: '偏红',
    blue: '偏蓝',
    colour_mirror: '颜色与对侧不同',
    grid: '压缩网格不同',
    asymmetry: '位置不对称',
    proportion: '偏大',
    repetition: '纹理重复',
  },
};

/** A phrase while a sentence is taken apart: its index between two marks that no text holds. */
const PHRASE = /^(?:[Tt]he )?\u0001(\d+)\u0002$/;

/** The pieces in Chinese, or null if a sentence has no known form. */
export function explainZh(pieces: readonly Piece[], regions: readonly Region[]): Piece[] | null {
  const clean = (text: string) => text.replace(/[\u0001\u0002]/g, '');
  // The space before a phrase belongs to the text around it.
  const text = pieces.map((piece, i) => (piece.mask === null ? clean(piece.text) : `${/^\s/.test(piece.text) ? ' ' : ''}\u0001${i}\u0002`)).join('');
  const sentences = text.trim().split(/(?<=\.)\s+/);
  const out: Piece[] = [];
  for (const sentence of sentences) {
    const told = sentence.endsWith('.') ? tell(sentence.slice(0, -1), pieces, regions) : null;
    if (!told) return null;
    for (const piece of [...told, { text: '。', mask: null }]) {
      const last = out.at(-1);
      if (last && last.mask === null && piece.mask === null) out[out.length - 1] = { text: last.text + piece.text, mask: null };
      else out.push(piece);
    }
  }
  return out;
}

function tell(sentence: string, pieces: readonly Piece[], regions: readonly Region[]): Piece[] | null {
  const plain = (text: string): Piece => ({ text, mask: null });
  const whole = WHOLE[sentence];
  if (whole) return [plain(whole)];
  for (const opening of FOUND) {
    if (sentence === opening) return [plain('发现了伪造迹象')];
    if (sentence.startsWith(`${opening}: `)) {
      const names = list(sentence.slice(opening.length + 2), pieces, regions);
      return names && [plain('发现了伪造迹象：'), ...names];
    }
  }
  for (const opening of NOT_FOUND) {
    if (!sentence.startsWith(opening)) continue;
    const rest = sentence.slice(opening.length).trim();
    const place = rest === '' ? '' : rest === ', so no technique is named' ? null : (CHECKED[rest] ?? region(rest, regions));
    if (place === undefined) return null;
    return [plain(place === null ? '没有发现伪造迹象，因此不指明手法' : `${place}没有发现伪造迹象`)];
  }
  for (const [one, several, said] of FINDINGS) {
    for (const form of [one, several]) {
      if (!sentence.endsWith(` ${form}`)) continue;
      const names = list(sentence.slice(0, -form.length - 1), pieces, regions);
      return names && [...names, plain(said)];
    }
  }
  return null;
}

/** "in the left cheek", "in the marked box on the left cheek". */
function region(place: string, regions: readonly Region[]): string | undefined {
  const [, box, name] = /^in the (marked box on the )?(.+)$/.exec(place) ?? [];
  const found = name && regions.find((r) => r.en === name)?.zh;
  return found ? (box ? `在${found}上标出的方框中` : `在${found}中`) : undefined;
}

/** "the nose, the mouth and the chin", with phrases or plain names. */
function list(text: string, pieces: readonly Piece[], regions: readonly Region[]): Piece[] | null {
  const out: Piece[] = [];
  const items = text.split(/, | and /);
  for (const [i, item] of items.entries()) {
    if (i > 0) out.push({ text: i === items.length - 1 ? '和' : '、', mask: null });
    const index = PHRASE.exec(item)?.[1];
    const mask = index === undefined ? null : (pieces[Number(index)]?.mask ?? null);
    const name = index === undefined ? /^[Tt]he (.+)$/.exec(item)?.[1] : pieces[Number(index)]?.text.trim();
    const found = name && regions.find((r) => r.en === name)?.zh;
    if (!found) return null;
    out.push({ text: found, mask });
  }
  return out;
}
