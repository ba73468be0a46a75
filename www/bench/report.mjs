// Rows → what people read: a table by group with the targets, and a plot.
import { cpus, totalmem } from 'node:os';

/** What the program is to reach: a ratio to the peer's best, milliseconds, or an amount. */
const TARGETS = [
  [/^decode-at-256$/, 'wasm', 1, 'ratio', 0.75],
  [/^(prefill|encode)-256$/, 'wasm', 1, 'ratio', 0.9],
  [/^(decode-at|prefill|encode)-256$/, 'wasm', 2, 'ratio', 0.9],
  [/^decode-at-256$/, 'webgpu (software)', 1, 'ratio', 0.1],
  [/^download: wasm/, 'wasm', 1, 'value', 2.0],
  [/^base: a token$/, 'wasm', 1, 'ms', 30],
  [/^base: first text/, 'wasm', 1, 'ms', 4000],
  [/^base: whole report$/, 'wasm', 1, 'ms', 9000],
  [/^base: wasm heap, peak$/, 'wasm', 1, 'value', 400],
  // Rounding of what the collector leaves; a leak of one report a photo would be hundreds of KiB.
  [/^growth of the (page|worker)/, 'wasm', 1, 'value', 64],
  [/^second visit: page to ready$/, 'wasm', 1, 'ms', 2500],
  // 0.8 of its tokens a second.
  [/^SmolLM2.*a token/, 'native cpu', 2, 'ratio', 1.25],
];

/** `{text, met}` of a row of ours, or null. Ratios and times are those of minima. */
function target(row) {
  if (!row.engine.startsWith('facext')) return null;
  const found = TARGETS.find(([work, backend, threads]) => work.test(row.work) && backend === row.backend && threads === row.threads);
  if (!found) return null;
  const [, , , kind, bound] = found;
  const value = { ratio: row.ratio_to_peer, ms: row.min_ms, value: row.value }[kind];
  const text = { ratio: `≤ ${bound} ×`, ms: `≤ ${bound} ms`, value: `≤ ${bound}` }[kind];
  return { text, met: value === null || value === undefined ? null : value <= bound };
}

const GROUPS = [
  ['Synthetic models, one wasm thread, same Chromium', (r) => /-256$/.test(r.work) && r.backend === 'wasm' && r.threads === 1],
  ['The same on two threads (isolated page)', (r) => /-256$/.test(r.work) && r.threads === 2],
  ['The same on software WebGPU (SwiftShader)', (r) => r.backend.startsWith('webgpu')],
  ['The shipped model in the page, one wasm thread', (r) => /^(base|second)/.test(r.work) && r.backend === 'wasm'],
  ['Download and memory', (r) => /^(download|growth)/.test(r.work)],
  ['Native', (r) => r.backend.startsWith('native')],
];

const number = (v, digits = 1) => (v === null || v === undefined ? '–' : v >= 100 ? String(Math.round(v)) : v.toFixed(digits));

/** The page of figures, Markdown. `parts`: name → `{date, load, rows}`. */
export function markdown(parts, plot) {
  const rows = Object.values(parts).flatMap((p) => p.rows);
  const dates = [...new Set(Object.values(parts).map((p) => p.date.slice(0, 10)))].sort();
  const loads = Object.values(parts).map((p) => p.load);
  const out = [
    '# Benchmarks',
    '',
    'Printed by `./build.sh bench`; what is measured, and how: [www/bench](www/bench/run.mjs). Times are minima (medians) in milliseconds; the ratio is',
    'the minimum against the best minimum of the peer at the same work, backend and number of threads, whatever its precision. The error is that of',
    'the outputs against a computation in f64 with the same weights, ‖a − b‖ / ‖b‖.',
    '',
    `${dates.join(' to ')}; ${machine()}; load average ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)} at the end of the parts.`,
    '',
    ...(plot ? [`![Bars of the table's minima](${plot})`, ''] : []),
  ];
  for (const [title, belongs] of GROUPS) {
    const mine = rows.filter(belongs);
    if (mine.length === 0) continue;
    out.push(`## ${title}`, '', '| work | engine | min (median) | ratio | target | error | |', '|---|---|---|---|---|---|---|');
    for (const r of mine) {
      const t = target(r);
      const value = r.value === undefined ? (r.min_ms === null ? 'n/a' : `${number(r.min_ms)} (${number(r.median_ms)})`) : `${number(r.value, r.value % 1 ? 2 : 0)} ${r.unit}`;
      const goal = t ? `${t.text}${t.met === null ? '' : t.met ? ', met' : ', missed'}` : '';
      const where = r.backend.startsWith('native') ? ` (${r.backend.slice(7)}, ${r.threads} threads)` : '';
      out.push(`| ${r.work} | ${r.engine}${where} | ${value} | ${r.ratio_to_peer ? number(r.ratio_to_peer, 2) : ''} | ${goal} | ${r.error ? r.error.toExponential(1) : ''} | ${r.note ?? ''} |`);
    }
    out.push('');
  }
  return out.join('\n');
}

function machine() {
  const all = cpus();
  return `${all[0]?.model.trim() || 'CPU of unknown model'}, ${all.length} cores, ${Math.round(totalmem() / 2 ** 30)} GB`;
}

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);

/** Bars of the synthetic models' minima, each work on its own scale from 0. */
export function svg(parts) {
  const rows = Object.values(parts).flatMap((p) => p.rows).filter((r) => /-256$/.test(r.work) && r.min_ms !== null && !r.note);
  const titles = { 'decode-at-256': 'one token at context 256', 'prefill-256': 'prompt of 256 tokens', 'encode-256': 'ViT-S, 256 tokens' };
  const groups = new Map();
  for (const r of rows) {
    const key = `${titles[r.work]}, ${r.backend}${r.backend === 'wasm' ? `, ${r.threads === 1 ? 'one thread' : `${r.threads} threads`}` : ''}`;
    groups.set(key, [...(groups.get(key) ?? []), r]);
  }
  const [left, wide, step] = [190, 430, 22];
  let y = 16;
  const parts_ = [];
  for (const [title, list] of groups) {
    parts_.push(`<text x="8" y="${y + 14}" font-weight="600">${escape(title)}, ms</text>`);
    y += 24;
    const top = Math.max(...list.map((r) => r.min_ms));
    for (const r of list.toSorted((a, b) => a.min_ms - b.min_ms)) {
      const width = Math.max(1, (wide * r.min_ms) / top);
      parts_.push(
        `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${escape(r.engine.replace('onnxruntime-web', 'ORT web'))}</text>` +
          `<rect x="${left}" y="${y + 2}" width="${width.toFixed(1)}" height="${step - 8}" fill="${r.engine.startsWith('facext') ? '#0a66c2' : '#9aa3ad'}"/>` +
          `<text x="${(left + width + 6).toFixed(1)}" y="${y + 13}">${number(r.min_ms)}</text>`,
      );
      y += step;
    }
    y += 14;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 ${y}" width="700" height="${y}" font-family="system-ui, sans-serif" font-size="13" fill="#1b1f24">\n<title>facext (blue) and ONNX Runtime Web (grey), milliseconds</title>\n<rect width="700" height="${y}" fill="#fff"/>\n${parts_.join('\n')}\n</svg>\n`;
}
