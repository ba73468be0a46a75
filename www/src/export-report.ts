/** What can be saved of an answer: the report without what one would not share. The other forms are in `saving.ts`. */
import type { Report } from './protocol';

export interface SaveOptions {
  /** The name of the photo's file; it may tell who is shown, or where. */
  name: boolean;
  /** The photo itself, in the report that is a page. Drawn anew: nothing of the file's own data goes with it. */
  photo: boolean;
}

/** The report as it is saved. It never holds pixels, places or other data of the file; its name only when wished. */
export function exported(report: Report, { name }: Pick<SaveOptions, 'name'>): Report {
  return name ? report : { ...report, file: { ...report.file, name: '' } };
}

/** First letters of the hash: a name for files that says nothing of the photo. */
export function stem(report: Report): string {
  return `facext-${report.file.sha256.slice(0, 8)}`;
}

export function json(value: unknown): Blob {
  return new Blob([JSON.stringify(value, null, 2), '\n'], { type: 'application/json' });
}

/** Offers a file to be saved. */
export function download(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers read the blob only after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
