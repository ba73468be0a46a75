/**
 * Every sentence of the page, by stable code. The engine and the worker speak in codes; wording lives here and nowhere else.
 *
 * House style: say what happened, then what to do. Never call a photo "real" or "fake": a band is evidence, not a verdict.
 */
import type { Band, DeviceInfo, Stage, StoreKind, Task } from './protocol';

export interface ErrorWords {
  title: string;
  /** What the person can do next. */
  next: string;
}

/** One entry for each code of the crate's error type, then the page's own. */
export const ERRORS: Record<string, ErrorWords> = {
  'image.empty': { title: 'This file is empty.', next: 'Choose the photo again; it may not have been copied completely.' },
  'image.too_many_bytes': { title: 'This file is too large.', next: 'Save the photo as a smaller JPEG, without cropping the face, and try that.' },
  'image.not_an_image': { title: 'This file is not a photo.', next: 'Its name may say otherwise, but its content is something else. Choose a JPEG, PNG or WebP file.' },
  'image.unsupported': { title: 'This kind of picture is not supported.', next: 'Save it as JPEG, PNG or WebP and try again. Saving again can blur traces of editing.' },
  'image.too_large': { title: 'This picture has too many pixels.', next: 'Reduce its size, keeping the face at least 200 pixels wide.' },
  'image.truncated': { title: 'This picture ends too early.', next: 'The download or copy was cut off. Get the file again from where it came.' },
  'image.corrupt': { title: 'This picture is damaged.', next: 'Get the file again from where it came.' },
  'weights.manifest': { title: 'The list of model files cannot be read.', next: 'Reload the page. If it stays, the site that hosts it is incomplete.' },
  'weights.version': { title: 'The model files belong to another version of this page.', next: 'Reload the page to get both in the same version.' },
  'weights.missing_shard': { title: 'A model file is missing on the server.', next: 'Tell whoever hosts this page the name of the file.' },
  'weights.size': { title: 'A model file has the wrong size.', next: 'It was fetched twice and not used. Tell whoever hosts this page the name of the file.' },
  'weights.hash': { title: 'A model file is damaged.', next: 'It was fetched twice, failed its check both times, and was not used. Tell whoever hosts this page its name.' },
  'weights.format': { title: 'A model file cannot be read.', next: 'Reload the page. If it stays, tell whoever hosts this page.' },
  'weights.missing_tensor': { title: 'The model is incomplete.', next: 'Tell whoever hosts this page.' },
  'weights.shape': { title: 'The model does not fit this program.', next: 'Reload the page to get both in the same version.' },
  'weights.not_finite': { title: 'The model contains impossible numbers.', next: 'It was not used. Tell whoever hosts this page.' },
  'face.failed': { title: 'The search for faces failed.', next: 'Try again; if it stays, try another copy of the photo.' },
  'text.failed': { title: 'Writing the answer failed.', next: 'Try again.' },
  'model.failed': { title: 'The model could not do this.', next: 'Try again, or ask about another region.' },
  'device.unavailable': { title: 'The graphics processor is not available.', next: 'Use the processor instead: slower, with the same answers.' },
  'device.lost': { title: 'The graphics processor stopped twice during the analysis.', next: 'Use the processor instead: slower, with the same answers.' },
  'device.self_test': { title: 'The graphics processor computes wrong numbers.', next: 'Use the processor instead: slower, but right.' },
  'request.bad': { title: 'This question does not fit the photo.', next: 'Check that the box lies inside the photo and touches a face.' },
  cancelled: { title: 'Stopped.', next: '' },
  'io.failed': { title: 'Reading or storing a file failed.', next: 'Try again. A full disk or a private window can be the reason.' },
  'download.failed': { title: 'The connection was interrupted.', next: 'What has arrived is kept. Start again to fetch only the rest.' },
  'program.missing': { title: 'A part of this page is missing on the server.', next: 'Reload the page. If it stays, the site that hosts it is incomplete.' },
  'program.broken': { title: 'This browser cannot run the program.', next: 'It needs WebAssembly with SIMD: a current Firefox, Chrome, Edge or Safari has it.' },
  'storage.gone': { title: 'The model is no longer in this browser’s storage.', next: 'Download it again. Private windows forget it when work is stopped.' },
  'worker.crashed': { title: 'The analysis crashed twice.', next: 'Your photo is still here. Try another copy of it, or close other tabs to free memory.' },
  'file.unreadable': { title: 'This file cannot be opened.', next: 'It may have been moved or changed since you chose it. Choose it again.' },
  'source.failed': { title: 'The photo could not be fetched from there.', next: 'Its site may forbid it. Save the photo on your device and choose the file.' },
  unknown: { title: 'Something unexpected went wrong.', next: 'Try again. If it stays, reload the page.' },
};

export function errorWords(code: string): ErrorWords {
  return ERRORS[code] ?? ERRORS['unknown']!;
}

export const BANDS: Record<Band, { title: string; text: string }> = {
  no_sign: { title: 'No sign of manipulation found', text: 'The model found nothing it knows as a trace of manipulation. That does not prove that the photo is untouched.' },
  inconclusive: { title: 'Inconclusive', text: 'The evidence points neither way. Look for a larger or less compressed copy of the photo.' },
  signs: { title: 'Signs of manipulation', text: 'The model found traces that are more common in manipulated faces. Check the marked places yourself.' },
  strong_signs: { title: 'Strong signs of manipulation', text: 'The model found traces that are much more common in manipulated faces. Check the marked places yourself.' },
};

export const FAMILIES: Record<string, string> = {
  none: '',
  face_swap: 'Most like: a swapped face',
  reenactment: 'Most like: a changed expression (re-enactment)',
  attribute_edit: 'Most like: an edited feature',
  entire_synthesis: 'Most like: an entirely generated face',
};

export const NO_FACE: Record<string, string> = {
  none: 'No face was found in this photo, so there is nothing to judge. Paintings, masks and faces seen from behind do not count.',
  too_small: 'The face is too small to judge. Look for a copy of the photo in which it is larger.',
  too_blurred: 'The face is too blurred to judge. Look for a sharper copy of the photo.',
};

export function noFaceWords(reason: string | null): string {
  return NO_FACE[reason ?? 'none'] ?? NO_FACE['none']!;
}

export const STAGES: Record<Stage, string> = {
  decode: 'Reading the photo',
  face: 'Looking for faces',
  encode: 'Looking closely at the face',
  evidence: 'Weighing the evidence',
  prefill: 'Preparing the answer',
  generate: 'Writing the answer',
  masks: 'Marking the places',
};

export const TASKS: { id: Task; label: string; hint: string }[] = [
  { id: 'age', label: 'Explain and locate', hint: 'text with marked places' },
  { id: 'toe', label: 'Explain', hint: 'text only' },
  { id: 'loc', label: 'Locate', hint: 'marked places only' },
];

/** Why this device, by the engine's reason code. */
const DEVICE_REASONS: Record<string, string> = {
  chosen: 'as asked for',
  self_test: 'the graphics processor failed a numeric check',
  self_test_passed: 'its numbers agree with the processor’s',
  no_webgpu: 'this browser offers no WebGPU',
  no_adapter: 'this browser offers no graphics processor',
  fallback_adapter: 'the browser only emulates a graphics processor',
  no_device: 'the graphics processor could not be started',
};

export function deviceWords(device: DeviceInfo): string {
  const what = device.kind === 'gpu' ? 'Graphics processor' : 'Processor';
  const why = DEVICE_REASONS[device.reason] ?? device.reason.replaceAll('_', ' ');
  return `${what}${device.name ? ` (${device.name})` : ''}: ${why}`;
}

export const STORES: Record<StoreKind, string> = {
  opfs: 'kept in this browser for next time',
  cache: 'kept in this browser for next time',
  memory: 'kept only until this page closes',
};

export const NOTICES: Record<string, string> = {
  'storage.full': 'The browser’s storage is full: the model works now but must be downloaded again next time.',
  'storage.damaged': 'A stored model file was damaged and is being fetched again.',
};

/** Warnings of the photo and of the answer; an unknown one is shown as its code. */
export const WARNINGS: Record<string, string> = {
  'image.alpha_flattened': 'Transparent places were filled before the check.',
  'image.first_frame_only': 'This is an animation; only its first picture was checked.',
  'image.cmyk_converted': 'The photo uses print colours (CMYK); they were converted.',
  'image.sixteen_bit_reduced': 'The photo has 16 bits a colour; it was reduced to 8.',
  'image.orientation_invalid': 'The file names an impossible orientation; the photo was taken as it is.',
  'image.trailing_bytes': 'The file goes on after the end of the picture.',
  'image.incomplete_scans': 'The file lacks its last refinements; fine detail is missing.',
  face_small: 'A face is small: details are less reliable.',
  face_soft: 'A face is soft or blurred: details are less reliable.',
  face_cut: 'A face is cut by the edge of the photo.',
  text_contradicts_score: 'The words and the measured evidence did not agree, so the result is inconclusive.',
  answer_cut: 'The answer reached its greatest length and was cut.',
};

export function warningWords(code: string): string {
  return WARNINGS[code] ?? `Note: ${code.replaceAll('_', ' ')}`;
}

export const LIMITS = [
  '“No sign found” does not mean that a photo is real. New and careful forgeries leave no trace that this model knows.',
  'Only faces are checked: not the background, the caption, the date or the place.',
  'Strong compression, filters, make-up, scans and small or blurred faces can mislead it, in both directions.',
  'Marked places show where the model found its evidence. They are pointers for your own eyes, not proof.',
];

/** 12,345,678 → "12.3 MB". Decimal units, as downloads are usually given. */
export function bytesWords(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, 'kB'] : bytes < 1e9 ? [bytes / 1e6, 'MB'] : [bytes / 1e9, 'GB'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export function percentWords(share: number): string {
  const percent = share * 100;
  return percent > 0 && percent < 1 ? 'under 1 %' : `${Math.round(percent)} %`;
}

/** How far to trust a mask, by the model's own estimate. */
export function qualityWords(quality: number): string {
  return quality >= 0.6 ? 'clear outline' : quality >= 0.35 ? 'rough outline' : 'weak outline';
}
