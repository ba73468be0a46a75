/** Masks as PNG and as a COCO file. Nothing here computes: run lengths are passed on as they came, or drawn. */
import type { MaskOut, Report } from './protocol';
import { area, rasterise } from './rle';

/** All masks as one COCO file: annotations with compressed run lengths, categories by concept. */
export function coco(report: Report) {
  const masks = report.faces.flatMap((face, f) => face.masks.map((mask, m) => ({ face: f, index: m, mask })));
  const names = [...new Set(masks.map(({ mask }) => mask.concept ?? 'unnamed'))];
  return {
    info: { description: 'Places that facext marked; evidence, not proof', version: report.program.version, weights_sha256: report.program.weights_sha256 },
    images: [{ id: 1, width: report.file.width, height: report.file.height, file_name: report.file.name, sha256: report.file.sha256 }],
    categories: names.map((name, i) => ({ id: i + 1, name })),
    annotations: masks.map(({ face, index, mask }, i) => ({
      id: i + 1,
      image_id: 1,
      category_id: names.indexOf(mask.concept ?? 'unnamed') + 1,
      segmentation: mask.rle,
      bbox: mask.bbox,
      area: area(mask.rle),
      iscrowd: 1,
      face,
      mask: index,
      quality: mask.quality,
    })),
  };
}

/** A mask as a picture of at most `longest` pixels a side, white on black; null where the browser refuses the canvas. */
export function maskCanvas(mask: MaskOut, longest = Infinity): HTMLCanvasElement | null {
  const [height, width] = mask.rle.size;
  const shrink = Math.min(1, longest / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * shrink));
  canvas.height = Math.max(1, Math.round(height * shrink));
  const context = canvas.getContext('2d');
  if (!context) return null;
  const { data } = rasterise(mask.rle, canvas.width, canvas.height);
  const pixels = context.createImageData(canvas.width, canvas.height);
  new Uint32Array(pixels.data.buffer).set(Uint32Array.from(data, (on) => (on ? 0xffffffff : 0xff000000)));
  context.putImageData(pixels, 0, 0);
  return canvas;
}

export function maskPng(mask: MaskOut): Promise<Blob | null> {
  return new Promise((done) => {
    const canvas = maskCanvas(mask);
    if (canvas) canvas.toBlob(done, 'image/png');
    else done(null);
  });
}
