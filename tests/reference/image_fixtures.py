"""Makes the pictures in tests/fixtures/image/ and what Pillow decodes from them (pip install pillow==13.0.0 numpy).

One synthetic scene (no photo, no person), 45×37, asymmetric, smooth enough that decoders agree on it. Beside each
picture `name.ext` lies `name.ext.rgb`: its RGB bytes as Pillow decodes them, alpha over white, upright.
"""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

OUT = pathlib.Path(__file__).parents[1] / "fixtures/image"
OUT.mkdir(parents=True, exist_ok=True)
W, H = 45, 37


def scene():
    y, x = np.mgrid[:H, :W].astype(float)
    r = 40 + 4.5 * x
    g = 220 - 4.5 * y
    b = 128 + 90 * np.sin(x / 9) * np.cos(y / 7)
    a = np.stack([r, g, b], -1)
    disc = (x - 12) ** 2 + (y - 9) ** 2 < 40
    a[disc] = [230, 60, 50]
    a[26:32, 28:40] = [30, 60, 200]
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def save(name, image, expect=None, **options):
    data = io.BytesIO()
    image.save(data, **options)
    write(name, data.getvalue(), expect)


def write(name, data, expect=None):
    (OUT / name).write_bytes(data)
    if expect is None:
        with Image.open(io.BytesIO(data)) as im:
            im.seek(0)
            im = ImageOps.exif_transpose(im)
            if "transparency" in im.info or "A" in im.mode:
                im = im.convert("RGBA")
                white = Image.new("RGBA", im.size, "white")
                im = Image.alpha_composite(white, im)
            expect = im.convert("RGB")
    (OUT / (name + ".rgb")).write_bytes(expect.tobytes())


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(image):
    """16-bit RGB, which Pillow does not write: low bytes are noise that must not matter."""
    a = np.asarray(image).astype(np.uint16) * 256 + np.random.default_rng(1).integers(0, 256, (H, W, 3)).astype(np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in a)
    head = struct.pack(">IIBBBBB", W, H, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")


base = scene()
gray = base.convert("L")
rgba = base.copy()
rgba.putalpha(Image.fromarray((np.mgrid[:H, :W][1] * 255 // (W - 1)).astype(np.uint8)))

save("rgb.png", base, format="PNG", optimize=True)
save("rgba.png", rgba, format="PNG", optimize=True)
save("palette.png", base.quantize(32), format="PNG", optimize=True)
save("palette_trns.png", base.quantize(32), format="PNG", optimize=True, transparency=3)
save("bits1.png", gray.convert("1"), format="PNG")
save("gray_alpha.png", rgba.convert("LA"), format="PNG")
write("rgb16.png", png16(base), base)
save("animated.png", base, format="PNG", save_all=True, append_images=[ImageOps.invert(base)], duration=100)

save("sequential.jpg", base, format="JPEG", quality=92, subsampling=0)
save("subsampled.jpg", base, format="JPEG", quality=92, subsampling=2)
save("progressive.jpg", base, format="JPEG", quality=92, subsampling=2, progressive=True)
save("restart.jpg", base, format="JPEG", quality=92, subsampling=1, restart_marker_blocks=2)
save("gray.jpg", gray, format="JPEG", quality=92)
save("cmyk.jpg", base.convert("CMYK"), format="JPEG", quality=95)
save("rgb_ids.jpg", base, format="JPEG", quality=92, keep_rgb=True)

save("lossy.webp", base, format="WEBP", quality=95)
save("lossless.webp", base, format="WEBP", lossless=True)
save("alpha.webp", rgba, format="WEBP", quality=95, alpha_quality=100)
save("alpha_lossless.webp", rgba, format="WEBP", lossless=True, exact=True)
save("animated.webp", base, format="WEBP", save_all=True, append_images=[ImageOps.invert(base)], duration=100, lossless=True)

# Stored so that the upright picture is the scene: the inverse of what each orientation asks for.
T = Image.Transpose
inverse = {1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE, 8: T.ROTATE_270}
for n, turn in inverse.items():
    exif = Image.Exif()
    exif[0x0112] = n
    stored = base if turn is None else base.transpose(turn)
    save(f"orient{n}.jpg", stored, format="JPEG", quality=92, subsampling=0, exif=exif)
    if n == 6:
        save("orient6.png", stored, base, format="PNG", exif=exif)
        save("orient6.webp", stored, base, format="WEBP", lossless=True, exif=exif)

exif = Image.Exif()
exif[0x010F], exif[0x0110], exif[0x0131], exif[0x0132] = "Maker", "Model 7", "Editor 1.0", "2024:05:01 12:00:00"
exif.get_ifd(0x8769)[0x9003] = "2024:04:30 11:00:00"
exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (48.0, 8.0, 15.0)
save("facts.jpg", base, format="JPEG", quality=92, subsampling=0, exif=exif)
print(sum(f.stat().st_size for f in OUT.iterdir()) // 1024, "KiB in", len(list(OUT.iterdir())), "files")
