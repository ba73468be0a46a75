// The page's icon as PNG, for the home screens that take no SVG. Same shape as public/icon.svg, drawn by distance: four rounded
// corners of a frame and a ring, on a field of 48 units, strokes 4 wide with round ends.
import { crc32, deflateSync } from 'node:zlib';

const INK = [0x2f, 0x7f, 0xb5];
const GROUND = [0xff, 0xff, 0xff];

function toSegment(x, y, ax, ay, bx, by) {
  const t = Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)));
  return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
}

/** Distance from a point to the middle of the nearest stroke. */
function distance(px, py) {
  // All four corners are the upper left one, mirrored.
  const x = Math.min(px, 48 - px);
  const y = Math.min(py, 48 - py);
  const bend = x < 9 && y < 9 ? Math.abs(Math.hypot(x - 9, y - 9) - 4) : Infinity;
  return Math.min(toSegment(x, y, 5, 15, 5, 9), toSegment(x, y, 9, 5, 15, 5), bend, Math.abs(Math.hypot(px - 24, py - 24) - 9));
}

/** `ground`: on white, with the margin that a home screen may cut away. */
export function icon(size, { ground = false } = {}) {
  const field = ground ? 48 / 0.72 : 48;
  const unit = field / size;
  const rows = Buffer.alloc(size * (1 + size * 4));
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const at = (v) => (v + 0.5) * unit - (field - 48) / 2;
      const cover = Math.min(1, Math.max(0, (2 - distance(at(column), at(row))) / unit + 0.5));
      const colour = ground ? INK.map((c, i) => Math.round(c * cover + GROUND[i] * (1 - cover))) : INK;
      rows.set([...colour, ground ? 255 : Math.round(cover * 255)], row * (1 + size * 4) + 1 + column * 4);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const chunk = (type, data) => {
    const out = Buffer.alloc(data.length + 12);
    out.writeUInt32BE(data.length, 0);
    out.write(type, 4, 'latin1');
    data.copy(out, 8);
    out.writeUInt32BE(crc32(out.subarray(4, data.length + 8)), data.length + 8);
    return out;
  };
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}
