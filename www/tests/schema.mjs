// The shape of a report, as documented for `facext analyze --json`. Returns the problems found, as sentences.

const BANDS = ['no_sign', 'inconclusive', 'signs', 'strong_signs'];
const FAMILIES = ['none', 'face_swap', 'reenactment', 'attribute_edit', 'entire_synthesis'];
const HASH = /^[0-9a-f]{64}$/;

export function reportProblems(r) {
  const problems = [];
  const check = (ok, what) => ok || problems.push(what);
  const box = (b) => Array.isArray(b) && b.length === 4 && b.every(Number.isFinite);
  check(['ok', 'no_usable_face'].includes(r.status), `status ${r.status}`);
  check(r.reason === null || typeof r.reason === 'string', 'reason');
  check(typeof r.file?.name === 'string' && r.file.bytes > 0 && HASH.test(r.file.sha256) && r.file.width > 0 && r.file.height > 0, 'file');
  check(['version', 'weights_sha256', 'device', 'preset'].every((k) => typeof r.program?.[k] === 'string' && r.program[k]), 'program');
  check(r.timings_ms && Object.values(r.timings_ms).every((v) => Number.isFinite(v) && v >= 0), 'timings_ms');
  check(Array.isArray(r.warnings) && r.warnings.every((w) => typeof w === 'string'), 'warnings');
  check(Array.isArray(r.faces) && (r.status === 'ok') === r.faces.length > 0, 'faces');
  for (const [i, f] of (r.faces ?? []).entries()) {
    const at = `faces[${i}].`;
    check(box(f.box), `${at}box`);
    check(f.score >= 0 && f.score <= 1, `${at}score ${f.score}`);
    check(BANDS.includes(f.band), `${at}band ${f.band}`);
    check(FAMILIES.includes(f.family), `${at}family ${f.family}`);
    check(typeof f.answer === 'string', `${at}answer`);
    check(Array.isArray(f.spans) && f.spans.every((s) => typeof s.text === 'string' && (s.mask === null || f.masks[s.mask])), `${at}spans`);
    for (const [k, m] of (f.masks ?? []).entries()) {
      const size = m.rle?.size ?? [];
      check(size[0] === r.file.height && size[1] === r.file.width && typeof m.rle.counts === 'string', `${at}masks[${k}].rle`);
      check(box(m.bbox), `${at}masks[${k}].bbox`);
      check(m.quality >= 0 && m.quality <= 1, `${at}masks[${k}].quality ${m.quality}`);
      check(Array.isArray(m.measured) && m.measured.length <= 3 && m.measured.every((v) => typeof v.measure === 'string' && [v.value, v.median, v.spread].every(Number.isFinite)), `${at}masks[${k}].measured`);
      check(m.concept === null || typeof m.concept === 'string', `${at}masks[${k}].concept`);
    }
  }
  return problems;
}
