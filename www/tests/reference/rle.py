"""Makes tests/fixtures/rle.json: masks and their COCO compressed run-length strings, by pycocotools (the reference).

Needs: numpy, pycocotools 2.0.11. Run: python3 www/tests/reference/rle.py > www/tests/fixtures/rle.json
"""
import json

import numpy as np
from pycocotools import mask

rng = np.random.default_rng(7)
yy, xx = np.mgrid[0:37, 0:53]
cases = {
    "ellipse": (xx - 20) ** 2 / 225 + (yy - 15) ** 2 / 64 <= 1,
    "noise": rng.random((16, 24)) < 0.4,
    "empty": np.zeros((5, 7), bool),
    "full": np.ones((5, 7), bool),
    "first pixel": np.eye(6, 9, dtype=bool) & (np.arange(6)[:, None] == 0),
    "long runs": np.repeat(np.array([[0, 1, 0, 0, 1]], bool), 700, axis=0),
}
out = []
for name, m in cases.items():
    r = mask.encode(np.asfortranarray(m.astype(np.uint8)))
    out.append({"name": name, "rle": {"size": list(r["size"]), "counts": r["counts"].decode()},
                "area": int(m.sum()), "rows": np.packbits(m.reshape(-1)).tobytes().hex()})
print(json.dumps(out, indent=1))
