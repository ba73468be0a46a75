/** The photo with its marks as one PNG, at the size of the photo; made in the page, for the person's own disk. */
import { Overlay, type Scene } from './overlay';

/** Longest side of the picture: browsers refuse canvases much larger. */
const MAX_SIDE = 4096;

export async function pictureWithMarks(image: HTMLImageElement, scene: Scene): Promise<Blob | null> {
  const shrink = Math.min(1, MAX_SIDE / Math.max(scene.width, scene.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(scene.width * shrink));
  canvas.height = Math.max(1, Math.round(scene.height * shrink));
  const photo = canvas.getContext('2d');
  if (!photo) return null;
  photo.drawImage(image, 0, 0, canvas.width, canvas.height);
  const marks = document.createElement('canvas');
  marks.width = canvas.width;
  marks.height = canvas.height;
  const context = marks.getContext('2d');
  if (!context) return null;
  // Lines as thick as they are on the page, where a photo is some 700 pixels wide.
  new Overlay().draw(context, { ...scene, cursor: null, draft: null, part: null, split: null }, Math.max(1, canvas.width / 700));
  photo.drawImage(marks, 0, 0);
  return new Promise((done) => canvas.toBlob(done, 'image/png'));
}

/** The photo as a data URL, drawn anew: no data of its file goes with it. Null where the browser cannot show it. */
export function drawnAnew(image: HTMLImageElement): string | null {
  if (!image.naturalWidth) return null;
  const shrink = Math.min(1, MAX_SIDE / 2 / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(image.naturalWidth * shrink));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * shrink));
  canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/jpeg', 0.92);
}
