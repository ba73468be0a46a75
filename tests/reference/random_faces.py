#!/usr/bin/env python3
"""Pictures of a generator of faces, for `facext eval --untouched DIR --forged DIR`. Nothing of it is in the product or its training.

    pip install --no-deps random-face==2021.7.21.1
    pip install openvino==2026.4.1 pillow numpy
    python tests/reference/random_faces.py OUT [COUNT]

PyPI `random-face` is a MobileStyleGAN (Belousov 2021), distilled from a StyleGAN2 of FFHQ, whose terms are non-commercial: so it is
only tested on. Its package asks for an OpenVINO that is no longer published, so its two networks are run directly. Faces are drawn with
seed 7 and truncation 0.7, and shrunk to 512 pixels: OUT/png holds them as they are, OUT/jpeg as JPEGs of quality 88.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import openvino
from PIL import Image

SEED, TRUNCATION, SIDE, QUALITY = 7, 0.7, 512, 88


def main(out: Path, count: int) -> None:
    data = Path(importlib.util.find_spec("random_face").origin).parent / "data"
    core = openvino.Core()
    mapping = core.read_model(data / "MappingNetwork.xml")
    synthesis = core.compile_model(core.read_model(data / "SynthesisNetwork.xml"), "CPU")
    rng = np.random.default_rng(SEED)

    def styles(n: int) -> np.ndarray:
        mapping.reshape({mapping.inputs[0].any_name: [n, 512]})
        return next(iter(core.compile_model(mapping, "CPU")([rng.normal(size=(n, 512)).astype(np.float32)]).values()))

    mean = styles(2048).mean(0, keepdims=True)
    drawn = styles(max(64, count))
    for folder in ("png", "jpeg"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        style = (mean + TRUNCATION * (drawn[i : i + 1] - mean)).astype(np.float32)
        values = next(v for v in synthesis([style]).values() if v.ndim >= 3 and v.shape[-1] == 1024)
        pixels = ((np.clip(values.reshape(values.shape[-3:]), -1, 1) + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
        face = Image.fromarray(pixels).resize((SIDE, SIDE), Image.LANCZOS)
        face.save(out / "png" / f"{i:03d}.png")
        face.save(out / "jpeg" / f"{i:03d}.jpg", quality=QUALITY)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 48)
