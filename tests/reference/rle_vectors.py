"""Makes tests/fixtures/image/rle.json: masks with their COCO RLE, area and box by pycocotools 2.0.11 (pip install pycocotools numpy)."""
import json
import pathlib

import numpy as np
from pycocotools import mask as coco

rng = np.random.default_rng(7)


def blob(h, w):
    y, x = np.mgrid[:h, :w]
    cy, cx, r = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(2, max(h, w) / 2)
    return ((y - cy) ** 2 + (x - cx) ** 2 < r * r).astype(np.uint8)


masks = [np.zeros((1, 1)), np.ones((1, 1)), np.zeros((7, 5)), np.ones((7, 5)), np.eye(9), 1 - np.eye(9)]
masks += [np.indices((6, 8)).sum(0) % 2, np.indices((1, 40)).sum(0) % 3 == 0, np.indices((40, 1)).sum(0) % 3 == 0]
masks += [rng.random((h, w)) < p for h, w, p in [(13, 17, 0.1), (13, 17, 0.5), (17, 13, 0.9), (20, 30, 0.02)]]
masks += [blob(h, w) for h, w in [(24, 31), (31, 24), (40, 64), (64, 40), (50, 50)]]
# Long runs: differences of more than one 5-bit group, of both signs.
long = np.zeros((60, 80), np.uint8)
long[:, 3:40] = 1
long[10:20, 50] = 1
long[59, 79] = 1
masks += [long, long[::-1, ::-1]]

cases = []
for m in masks:
    m = np.asarray(m, np.uint8)
    rle = coco.encode(np.asfortranarray(m))
    cases.append(
        {
            "mask": "".join(map(str, m.ravel())),
            "rle": {"size": list(rle["size"]), "counts": rle["counts"].decode()},
            "area": int(coco.area(rle)),
            "bbox": [float(v) for v in coco.toBbox(rle)],
        }
    )
out = pathlib.Path(__file__).parents[1] / "fixtures/image/rle.json"
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(json.dumps(cases, indent=0) + "\n")
print(len(cases), "cases,", out.stat().st_size, "bytes")
