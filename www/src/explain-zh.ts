/**
 * Answers of the known forms in Chinese: the same spans with the same masks, word for word from a table. The forms are those that the model
 * was trained on (`src/text/wording.rs`, `src/measure/words.rs`, `src/native/annotate/wording.rs`; a test holds them together). An answer with one sentence of another form is not
 * translated at all, because half a translation misleads.
 */
import type { Region } from './protocol';
import type { Piece } from './run';
import type { Words } from './words-en';

const CLAIMS: [string, string][] = [
  ['Signs of forgery were found', '发现了伪造迹象'],
  ['There are signs of forgery', '发现了伪造迹象'],
  ['Possible signs of forgery were found', '发现了可能的伪造迹象'],
  ['There may be signs of forgery', '可能有伪造迹象'],
];
const DENIALS: [string, string][] = [
  ['No sign of forgery was found', '没有发现伪造迹象'],
  ['There is no sign of forgery', '没有发现伪造迹象'],
  ['No clear sign of forgery was found', '没有发现明确的伪造迹象'],
  ['There is no clear sign of forgery', '没有发现明确的伪造迹象'],
];

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
  ['lacks fine detail next to the skin around it', 'lack fine detail next to the skin around them', '与周围皮肤相比缺少细节'],
  ['is softer than its surroundings', 'are softer than their surroundings', '比周围柔和'],
  ['looks blurred beside what lies around it', 'look blurred beside what lies around them', '与周围相比显得模糊'],
  ['is sharper than its surroundings', 'are sharper than their surroundings', '比周围清晰'],
  ['shows more fine detail than the skin around it', 'show more fine detail than the skin around them', '比周围皮肤有更多细节'],
  ['is softer than its counterpart on the other side', 'are softer than their counterparts on the other side', '比对侧柔和'],
  ['has less detail than the same part on the other side', 'have less detail than the same parts on the other side', '比对侧的同一部位细节少'],
  ['is sharper than its counterpart on the other side', 'are sharper than their counterparts on the other side', '比对侧清晰'],
  ['has more detail than the same part on the other side', 'have more detail than the same parts on the other side', '比对侧的同一部位细节多'],
  ['carries less grain than its surroundings', 'carry less grain than their surroundings', '颗粒比周围少'],
  ['carries more grain than its surroundings', 'carry more grain than their surroundings', '颗粒比周围多'],
  ['is unusually rough', 'are unusually rough', '异常粗糙'],
  ['carries less grain than the same part on the other side', 'carry less grain than the same parts on the other side', '颗粒比对侧的同一部位少'],
  ['is smoother than its counterpart', 'are smoother than their counterparts', '比对侧平滑'],
  ['carries more grain than the same part on the other side', 'carry more grain than the same parts on the other side', '颗粒比对侧的同一部位多'],
  ['is rougher than its counterpart', 'are rougher than their counterparts', '比对侧粗糙'],
  ['has a border where the brightness jumps', 'have borders where the brightness jumps', '边界处亮度突变'],
  ['shows a visible seam', 'show a visible seam', '可见接缝'],
  ['is set off from its surroundings by a sharp edge', 'are set off from their surroundings by a sharp edge', '与周围之间有一道锐利的边缘'],
  ['is redder than usual against the skin around it', 'are redder than usual against the skin around them', '与周围皮肤相比偏红'],
  ['has a red cast', 'have a red cast', '带红色调'],
  ['is less red than usual against the skin around it', 'are less red than usual against the skin around them', '与周围皮肤相比不够红'],
  ['has a green cast', 'have a green cast', '带绿色调'],
  ['is bluer than usual against the skin around it', 'are bluer than usual against the skin around them', '与周围皮肤相比偏蓝'],
  ['has a blue cast', 'have a blue cast', '带蓝色调'],
  ['is yellower than usual against the skin around it', 'are yellower than usual against the skin around them', '与周围皮肤相比偏黄'],
  ['has a yellow cast', 'have a yellow cast', '带黄色调'],
  ['differs in colour from its counterpart', 'differ in colour from their counterparts', '颜色与对侧不同'],
  ['has another colour than the same part on the other side', 'have another colour than the same parts on the other side', '颜色与对侧的同一部位不同'],
  ['shows compression blocks that do not line up with the rest', 'show compression blocks that do not line up with the rest', '压缩块与其余部分不对齐'],
  ['was compressed on another grid than the rest', 'were compressed on another grid than the rest', '压缩网格与其余部分不同'],
  ['is not placed like its counterpart', 'are not placed like their counterparts', '位置与对侧不对应'],
  ['sits differently from the same part on the other side', 'sit differently from the same parts on the other side', '位置与对侧的同一部位不同'],
  ['is unusually large for this face', 'are unusually large for this face', '对这张脸来说异常大'],
  ['is larger than the rest of the face suggests', 'are larger than the rest of the face suggests', '比面部其余部分所预示的大'],
  ['is unusually small for this face', 'are unusually small for this face', '对这张脸来说异常小'],
  ['is smaller than the rest of the face suggests', 'are smaller than the rest of the face suggests', '比面部其余部分所预示的小'],
  ['repeats texture that is found elsewhere in the face', 'repeat texture that is found elsewhere in the face', '重复了面部别处的纹理'],
  ['holds a copy of another patch of skin', 'hold a copy of another patch of skin', '含有另一块皮肤的副本'],
];

/** The model mixes the forms above: "is bluer than its counterpart", now and then with a word said twice. */
const COMPARED = /^(?<x>.+?) (?:is|are|looks?) (?<how>[a-z]+)(?: and \k<how>)?(?: (?:than|compared to|next to|against|beside) (?<what>[a-z ]+))?$/;
const HOW: Record<string, string> = {
  softer: '更柔和', blurred: '模糊', sharper: '更清晰', smoother: '更平滑', rougher: '更粗糙', redder: '偏红', bluer: '偏蓝', yellower: '偏黄', larger: '偏大', smaller: '偏小',
};
const WHAT: [RegExp, string][] = [
  [/^(its|their) surroundings$/, '与周围相比'],
  [/^the skin around (it|them)$/, '与周围皮肤相比'],
  [/^(its|their) counterparts?( on the other side)?$/, '与对侧相比'],
  [/^(its|their) borders?$/, '与其边界相比'],
  [/^the same parts? on the other side$/, '与对侧的同一部位相比'],
];

/** What is measured, as answers name it. */
const TRAITS: Record<string, string> = {
  sharpness: '清晰度', grain: '颗粒', border: '边界', colour: '颜色', compression: '压缩痕迹', place: '位置', size: '大小', texture: '纹理',
};

/** Sentences about what was measured: {x} is a list of parts, {t} of traits. */
const MEASURED: [RegExp, string][] = [
  [/^In (?<x>the .+) no single measurement stands out$/, '{x}没有单项测量突出'],
  [/^(?<x>The .+) (?:was|were) changed, but nothing measured there stands out$/, '{x}被改动过，但那里的测量没有突出之处'],
  [/^(?<x>The .+) (?:was|were) perhaps changed, but nothing measured there stands out$/, '{x}可能被改动过，但那里的测量没有突出之处'],
  [/^Any change of (?<x>the .+) leaves nothing that can be measured$/, '{x}若有改动，也没有留下可测量的痕迹'],
  [/^The change of (?<x>the .+) leaves nothing that can be measured$/, '{x}的改动没有留下可测量的痕迹'],
  [/^If anything was altered, then (?<x>the .+)$/, '若有改动，应在{x}'],
  [/^In (?<t>[a-z, ]+?), (?<x>the .+) (?:is|are) as usual$/, '{x}的{t}一如平常'],
  [/^Measured of (?<x>the .+): (?<t>[a-z, ]+); nothing stands out$/, '测量了{x}的{t}，没有突出之处'],
  [/^The (?<t>[a-z, ]+) of (?<x>the .+) (?:lie|lies|is|are) (?:within what untouched photos show|as usual)$/, '{x}的{t}在未改动照片的范围内'],
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
  'The picture does not show that; only signs of forgery in the face were looked for': '图片不显示这一点；只寻找了面部的伪造迹象',
  'That cannot be told from the face; only signs of forgery are looked for': '这无法从面部看出；只寻找伪造迹象',
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
  for (const [opening, said] of CLAIMS) {
    if (sentence === opening) return [plain(said)];
    if (sentence.startsWith(`${opening}: `)) {
      const names = list(sentence.slice(opening.length + 2), pieces, regions);
      return names && [plain(`${said}：`), ...names];
    }
  }
  for (const [opening, said] of DENIALS) {
    if (!sentence.startsWith(opening)) continue;
    const rest = sentence.slice(opening.length).trim();
    const place = rest === '' ? '' : rest === ', so no technique is named' ? null : (CHECKED[rest] ?? region(rest, regions));
    if (place === undefined) return null;
    return [plain(place === null ? `${said}，因此不指明手法` : `${place}${said}`)];
  }
  return measuredSentence(sentence, pieces, regions) ?? finding(sentence, pieces, regions);
}

/** "The nose is unusually smooth", "The nose has a red cast and is unusually smooth". */
function finding(sentence: string, pieces: readonly Piece[], regions: readonly Region[]): Piece[] | null {
  for (const [one, several, said] of FINDINGS) {
    for (const form of [one, several]) {
      if (!sentence.endsWith(` ${form}`)) continue;
      const before = sentence.slice(0, -form.length - 1);
      const names = list(before, pieces, regions);
      if (names) return [...names, { text: said, mask: null }];
      const first = before.endsWith(' and') && finding(before.slice(0, -4), pieces, regions);
      if (first) return [...first, { text: `，且${said}`, mask: null }];
    }
  }
  const { x = '', how = '', what } = COMPARED.exec(sentence)?.groups ?? {};
  const names = HOW[how] && list(x, pieces, regions);
  const beside = what === undefined ? '' : WHAT.find(([form]) => form.test(what))?.[1];
  return names && beside !== undefined ? [...names, { text: beside + HOW[how], mask: null }] : null;
}

function measuredSentence(sentence: string, pieces: readonly Piece[], regions: readonly Region[]): Piece[] | null {
  for (const [form, said] of MEASURED) {
    const { x, t = '' } = form.exec(sentence)?.groups ?? {};
    const names = x && list(x, pieces, regions);
    const traits = t.split(/, | and /).map((trait) => TRAITS[trait]);
    if (!names || (t && traits.some((trait) => trait === undefined))) continue;
    const [before = '', after = ''] = said.replace('{t}', traits.join('、')).split('{x}');
    return [{ text: before, mask: null }, ...names, { text: after, mask: null }].filter((piece) => piece.text);
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
