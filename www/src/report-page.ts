/**
 * The report as one HTML file, to read, print and keep: no script, nothing from elsewhere, its own strict policy. Built as text, so
 * every word of a file, of the model or of the wording passes `text()` on its way in.
 */
import type { Report } from './protocol';
import { area } from './rle';
import { TAGS, measuredWords, noFaceWords, percentWords, qualityWords, warningWords, type Language, type Words } from './words';

export interface Pictures {
  /** Data URLs of PNG or JPEG pictures. */
  photo: string | null;
  /** By face, then by mask. */
  masks: (string | null)[][];
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const text = (value: unknown) => String(value).replace(/[&<>"']/g, (c) => ENTITIES[c]!);
/** Only what a canvas of ours gave. */
const picture = (url: string | null, alt: string) => (url && /^data:image\/(png|jpeg);base64,[A-Za-z0-9+/=]+$/.test(url) ? `<img src="${url}" alt="${text(alt)}">` : '');

const STYLE = `
  :root { color-scheme: light; } body { margin: 2rem auto; max-width: 46rem; padding: 0 1rem; color: #1b2230; background: #fff; font: 1rem/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } img { max-width: 100%; height: auto; } .masks img { width: 9rem; border: 1px solid #999; }
  table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: start; vertical-align: top; } td { overflow-wrap: anywhere; }
  .band { border: 2px solid #1b2230; border-radius: .4rem; padding: .6rem .9rem; } .band strong { font-size: 1.15rem; } sup { font-weight: 700; }
  .limits { border-left: 4px solid #a1560a; padding-left: 1rem; } @media print { body { margin: 0; max-width: none; } h2, table, .band { break-inside: avoid; } }`;

export function reportPage(report: Report, w: Words, language: Language, pictures: Pictures): string {
  const p = w.save.page;
  const rows = (pairs: [string, string | number][]) => `<table>${pairs.map(([name, value]) => `<tr><th scope="row">${text(name)}</th><td>${text(value)}</td></tr>`).join('')}</table>`;
  let number = 0;
  const faces = report.faces.map((face, f) => {
    const first = number;
    const words = face.spans.map((span) => (span.mask === null ? text(span.text) : `<b>${text(span.text)}</b><sup>${first + span.mask + 1}</sup>`)).join('');
    const masks = face.masks.map((mask, m) => {
      number++;
      const share = percentWords(w, area(mask.rle) / Math.max(1, face.box[2] * face.box[3]));
      const said = face.spans.find((span) => span.mask === m)?.text.trim() ?? mask.concept ?? '';
      const line = `${number}: ${said}, ${w.ofTheFace(share)}, ${qualityWords(w, mask.quality)}`;
      const measured = measuredWords(w, mask);
      return `<figure>${picture(pictures.masks[f]?.[m] ?? null, line)}<figcaption>${text(line)}${measured ? `<br>${text(measured)}` : ''}</figcaption></figure>`;
    });
    const band = w.bands[face.band] ?? w.bands.inconclusive;
    const family = face.family !== 'none' ? (w.families[face.family] ?? '') : '';
    const tried = (face.spread?.tried ?? []).map((trial) => w.spread.trial(w.spread.how[trial.how] ?? trial.how, (w.bands[trial.band] ?? w.bands.inconclusive).title));
    const spread = tried.length ? `<p>${text(w.spread.moved)} ${text(tried.join('; '))}</p>` : '';
    return `<section><h2>${text(w.face(f + 1))}</h2>
      <div class="band"><strong>${text(band.title)}</strong><p>${text(band.text)} ${text(family)}</p><p>${text(w.doesNotShow(band.not))}</p>${spread}</div>
      <p lang="en">${words}</p><div class="masks">${masks.join('')}</div></section>`;
  });
  const { file, program } = report;
  const facts: [string, string | number][] = [
    ...(file.name ? [[p.name, file.name] as [string, string]] : []),
    ['SHA-256', file.sha256],
    [p.size, `${file.width} × ${file.height}, ${file.bytes} ${p.bytes}`],
    [p.asked, JSON.stringify(report.request ?? { task: 'age' }, (key, value: unknown) => (key === 'counts' ? '…' : value))],
    [p.program, `facext ${program.version}, ${program.device}, ${program.preset}`],
    [p.weights, program.weights_sha256],
    ...report.warnings.map((code) => [p.note, warningWords(w, code)] as [string, string]),
  ];
  return `<!doctype html>
<html lang="${TAGS[language]}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${text(p.title)}</title><style>${STYLE}</style></head>
<body><h1>${text(p.title)}</h1>
${picture(pictures.photo, p.photo)}
${report.status === 'ok' ? faces.join('\n') : `<p class="band"><strong>${text(w.noFaceTitle)}</strong> ${text(noFaceWords(w, report.reason))}</p>`}
<section class="limits"><h2>${text(w.limitsTitle)}</h2><ul>${w.limits.map((line) => `<li>${text(line)}</li>`).join('')}</ul></section>
<section><h2>${text(p.facts)}</h2>${rows(facts)}<p>${text(p.verify)}</p></section>
</body></html>
`;
}
