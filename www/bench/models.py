#!/usr/bin/env python3
"""The synthetic models of the side-by-side benchmark: the same random weights, written once for each engine.

usage: models.py OUTDIR          needs the PyPI packages onnx and numpy

  decoder  6 layers, width 384, 6 heads of 64, SwiGLU 1024, RMSNorm, rotary by halves, vocabulary 8192, head tied to the embedding
  encoder  ViT-S/16: 3 x 256 x 256 -> 256 tokens, 12 layers, width 384, 6 heads, GELU 1536, LayerNorm

Each in three precisions, which change the linear layers only:

  fp32  plain
  q8    int8, one scale a matrix; the peer quantises activations while it runs (DynamicQuantizeLinear, MatMulInteger)
  q4    4 bits in blocks of 32 inputs with one scale, symmetric (MatMulNBits)

For each: X.onnx for the peer (standard operators; X.fused.onnx: the decoder with the operators that exports for browsers use),
X.safetensors for facext, X.ref for the truth, computed here in f64 from the quantised weights with float activations, and shapes.json
with what the page needs to feed both. Whatever differs from the truth is then an engine's own error.
"""
import json
import math
import os
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

DIM, HEADS, HEAD, EPS_RMS, EPS_LN = 384, 6, 64, 1e-5, 1e-6
DEC_LAYERS, FFN, VOCAB, THETA, MAX_POSITION = 6, 1024, 8192, 10000.0, 512
ENC_LAYERS, MLP, SIDE, PATCH = 12, 1536, 256, 16
TOKENS = (SIDE // PATCH) ** 2
CONTEXT = 256
BLOCK = 32
MS = "com.microsoft"


# --- weights ----------------------------------------------------------------------------------------------------------------

class Linear:
    """A matrix [inputs, outputs] in one precision; `value` is what it means, in f32."""

    def __init__(self, weight, precision):
        self.precision, (self.k, self.n) = precision, weight.shape
        if precision == "fp32":
            self.value = weight
        elif precision == "q8":
            self.scale = np.float32(np.abs(weight).max() / 127)
            self.q = np.clip(np.round(weight / self.scale), -127, 127).astype(np.int8)
            self.value = self.q.astype(np.float32) * self.scale
        else:
            blocks = weight.reshape(self.k // BLOCK, BLOCK, self.n)
            self.scale = (np.abs(blocks).max(1) / 7).astype(np.float32)
            self.q = (np.clip(np.round(blocks / self.scale[:, None]), -8, 7) + 8).astype(np.uint8)
            self.value = ((self.q.astype(np.float32) - 8) * self.scale[:, None]).reshape(self.k, self.n)


class Weights:
    """Draws the same weights for every precision."""

    def __init__(self, seed, precision):
        self.rng, self.precision = np.random.default_rng(seed), precision

    def normal(self, *shape, scale):
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    def linear(self, k, n):
        return Linear(self.normal(k, n, scale=k ** -0.5), self.precision)


def decoder_weights(precision):
    w = Weights(7, precision)
    layers = [{"q": w.linear(DIM, DIM), "k": w.linear(DIM, DIM), "v": w.linear(DIM, DIM), "o": w.linear(DIM, DIM),
               "gate": w.linear(DIM, FFN), "up": w.linear(DIM, FFN), "down": w.linear(FFN, DIM)} for _ in range(DEC_LAYERS)]
    return {"embed": w.linear(DIM, VOCAB), "layers": layers}


def encoder_weights(precision):
    w = Weights(11, precision)
    biased = lambda k, n: (w.linear(k, n), w.normal(n, scale=0.02))
    layers = [{"q": biased(DIM, DIM), "k": biased(DIM, DIM), "v": biased(DIM, DIM), "o": biased(DIM, DIM), "fc1": biased(DIM, MLP),
               "fc2": biased(MLP, DIM)} for _ in range(ENC_LAYERS)]
    return {"patch": w.normal(DIM, 3, PATCH, PATCH, scale=0.02), "patch_bias": w.normal(DIM, scale=0.02),
            "position": w.normal(TOKENS, DIM, scale=0.02), "layers": layers}


def token_ids(count):
    return (np.arange(count) * 37 + 11) % VOCAB


def image():
    return np.random.default_rng(3).standard_normal((3, SIDE, SIDE)).astype(np.float32)


# --- for facext: safetensors in its own layout -------------------------------------------------------------------------------

def packed(lin):
    """Words [k · bits / 32, n] with value j at bit bits·j, scales and, for 4 bits, minima [k / 32, n]."""
    bits = 4 if lin.precision == "q4" else 8
    per_word = 32 // bits
    q = lin.q.reshape(lin.k // per_word, per_word, lin.n).astype(np.int64) & (2 ** bits - 1)
    words = sum(q[:, j] << (bits * j) for j in range(per_word)).astype(np.uint32)
    scales = np.broadcast_to(lin.scale, (lin.k // BLOCK, lin.n)).astype(np.float32)
    return {"words": words, "scale": scales, **({"min": -8 * scales} if bits == 4 else {})}


def save_safetensors(path, tensors):
    header, data = {}, []
    at = 0
    for name, value in sorted(tensors.items()):
        value = np.ascontiguousarray(value)
        header[name] = {"dtype": {"float32": "F32", "uint32": "U32"}[str(value.dtype)], "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        data.append(value.tobytes())
        at += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for part in data:
            out.write(part)


def linears(name, lin):
    if lin.precision == "fp32":
        return {f"{name}.weight": lin.value}
    return {f"{name}.weight.{part}": value for part, value in packed(lin).items()}


def decoder_for_facext(w, path):
    out = {**linears("embed", w["embed"]), "added.weight": np.zeros((8, DIM), np.float32), "norm.weight": np.ones(DIM, np.float32)}
    for i, layer in enumerate(w["layers"]):
        for name in ("attn_norm", "ffn_norm"):
            out[f"layers.{i}.{name}.weight"] = np.ones(DIM, np.float32)
        for name, lin in layer.items():
            out |= linears(f"layers.{i}.{name}", lin)
    save_safetensors(path, out)


def encoder_for_facext(w, path):
    out = {"patch.weight": w["patch"], "patch.bias": w["patch_bias"], "position": w["position"]}
    norms = ["norm"] + [f"layers.{i}.{name}" for i in range(ENC_LAYERS) for name in ("norm1", "norm2")]
    for name in norms:
        out |= {f"{name}.gamma": np.ones(DIM, np.float32), f"{name}.beta": np.zeros(DIM, np.float32)}
    for i, layer in enumerate(w["layers"]):
        for name, (lin, bias) in layer.items():
            out |= linears(f"layers.{i}.{name}", lin) | {f"layers.{i}.{name}.bias": bias}
    save_safetensors(path, out)


# --- for the peer: ONNX ------------------------------------------------------------------------------------------------------

class Graph:
    """A small builder of ONNX graphs."""

    def __init__(self):
        self.nodes, self.constants, self.count, self.quantised = [], [], 0, {}

    def name(self, stem):
        self.count += 1
        return f"{stem}_{self.count}"

    def constant(self, value):
        name = self.name("c")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind, inputs, outputs=1, domain="", **attributes):
        names = [self.name(kind) for _ in range(outputs)] if isinstance(outputs, int) else outputs
        self.nodes.append(helper.make_node(kind, inputs, names, name=self.name("n"), domain=domain, **attributes))
        return names[0] if len(names) == 1 else names

    def linear(self, x, lin, bias=None):
        if lin.precision == "fp32":
            y = self.op("MatMul", [x, self.constant(lin.value)])
        elif lin.precision == "q8":
            # As the usual dynamic quantisation writes it; an input that feeds several matrices is quantised once.
            if x not in self.quantised:
                self.quantised[x] = self.op("DynamicQuantizeLinear", [x], 3)
            q, scale, zero = self.quantised[x]
            product = self.op("MatMulInteger", [q, self.constant(lin.q), zero, self.constant(np.array(0, np.int8))])
            y = self.op("Mul", [self.op("Cast", [product], to=T.FLOAT), self.op("Mul", [scale, self.constant(np.array(lin.scale))])])
        else:
            # [n, blocks, 16 bytes], two values a byte, the lower one first; the zero point is 8 when none is given.
            q = lin.q.transpose(2, 0, 1)
            bytes_ = (q[..., 0::2] | (q[..., 1::2] << 4)).astype(np.uint8)
            y = self.op("MatMulNBits", [x, self.constant(bytes_), self.constant(lin.scale.T.reshape(-1))], domain=MS,
                        K=lin.k, N=lin.n, bits=4, block_size=BLOCK)
        return y if bias is None else self.op("Add", [y, self.constant(bias)])

    def save(self, path, inputs, outputs):
        graph = helper.make_graph(self.nodes, os.path.basename(path), inputs, outputs, initializer=self.constants)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="facext-bench"), path)


def rotary():
    angles = np.outer(np.arange(MAX_POSITION), THETA ** (-np.arange(0, HEAD, 2) / HEAD))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def decoder_io():
    info = helper.make_tensor_value_info
    inputs, outputs = [info("input_ids", T.INT64, ["b", "s"])], [info("logits", T.FLOAT, ["b", 1, VOCAB])]
    for i in range(DEC_LAYERS):
        for part in ("key", "value"):
            inputs.append(info(f"past.{i}.{part}", T.FLOAT, ["b", HEADS, "p", HEAD]))
            outputs.append(info(f"present.{i}.{part}", T.FLOAT, ["b", HEADS, "t", HEAD]))
    return inputs, outputs


def decoder_plain(w, path):
    """Standard operators; position ids and a causal mask are inputs."""
    g, (inputs, outputs) = Graph(), decoder_io()
    inputs += [helper.make_tensor_value_info("position_ids", T.INT64, ["s"]), helper.make_tensor_value_info("mask", T.FLOAT, [1, 1, "s", "t"])]
    cos, sin = (g.op("Gather", [g.constant(table), "position_ids"], axis=0) for table in rotary())
    last_axis, epsilon, ones = g.constant(np.array([-1], np.int64)), g.constant(np.array(EPS_RMS, np.float32)), g.constant(np.ones(DIM, np.float32))
    split, join = g.constant(np.array([0, -1, HEADS, HEAD], np.int64)), g.constant(np.array([0, -1, DIM], np.int64))
    scale = g.constant(np.array(HEAD ** -0.5, np.float32))

    def norm(x):
        mean = g.op("ReduceMean", [g.op("Mul", [x, x]), last_axis], keepdims=1)
        return g.op("Mul", [g.op("Div", [x, g.op("Sqrt", [g.op("Add", [mean, epsilon])])]), ones])

    def heads(x):
        return g.op("Transpose", [g.op("Reshape", [x, split])], perm=[0, 2, 1, 3])

    def rotate(x):
        a, b = g.op("Split", [x], 2, axis=-1, num_outputs=2)
        mul = lambda p, q: g.op("Mul", [p, q])
        return g.op("Concat", [g.op("Sub", [mul(a, cos), mul(b, sin)]), g.op("Add", [mul(b, cos), mul(a, sin)])], axis=-1)

    x = g.op("Gather", [g.constant(w["embed"].value.T), "input_ids"], axis=0)
    for i, layer in enumerate(w["layers"]):
        y = norm(x)
        q, k, v = rotate(heads(g.linear(y, layer["q"]))), rotate(heads(g.linear(y, layer["k"]))), heads(g.linear(y, layer["v"]))
        keys = g.op("Concat", [f"past.{i}.key", k], [f"present.{i}.key"], axis=2)
        values = g.op("Concat", [f"past.{i}.value", v], [f"present.{i}.value"], axis=2)
        scores = g.op("MatMul", [g.op("Mul", [q, scale]), g.op("Transpose", [keys], perm=[0, 1, 3, 2])])
        mixed = g.op("MatMul", [g.op("Softmax", [g.op("Add", [scores, "mask"])], axis=-1), values])
        x = g.op("Add", [x, g.linear(g.op("Reshape", [g.op("Transpose", [mixed], perm=[0, 2, 1, 3]), join]), layer["o"])])
        y = norm(x)
        gate = g.linear(y, layer["gate"])
        x = g.op("Add", [x, g.linear(g.op("Mul", [g.op("Mul", [gate, g.op("Sigmoid", [gate])]), g.linear(y, layer["up"])]), layer["down"])])
    head(g, norm(x), w)
    g.save(path, inputs, outputs)


def decoder_fused(w, path):
    """Grouped-query attention with rotary and cache in one operator, norms joined with the residual."""
    g, (inputs, outputs) = Graph(), decoder_io()
    inputs += [helper.make_tensor_value_info("seqlens_k", T.INT32, ["b"]), helper.make_tensor_value_info("total", T.INT32, [])]
    cos, sin = (g.constant(table) for table in rotary())
    ones = g.constant(np.ones(DIM, np.float32))

    def skip(x, y):
        normed, _, _, total = g.op("SkipSimplifiedLayerNormalization", [x, y, ones], [g.name("normed"), "", "", g.name("total")], domain=MS, epsilon=EPS_RMS)
        return normed, total

    x = g.op("Gather", [g.constant(w["embed"].value.T), "input_ids"], axis=0)
    y = g.op("SimplifiedLayerNormalization", [x, ones], axis=-1, epsilon=EPS_RMS, stash_type=1)
    for i, layer in enumerate(w["layers"]):
        q, k, v = (g.linear(y, layer[part]) for part in "qkv")
        mixed = g.name("gqa")
        g.op("GroupQueryAttention", [q, k, v, f"past.{i}.key", f"past.{i}.value", "seqlens_k", "total", cos, sin],
             [mixed, f"present.{i}.key", f"present.{i}.value"], domain=MS, num_heads=HEADS, kv_num_heads=HEADS, do_rotary=1, rotary_interleaved=0,
             scale=HEAD ** -0.5)
        y, x = skip(x, g.linear(mixed, layer["o"]))
        gate = g.linear(y, layer["gate"])
        y, x = skip(x, g.linear(g.op("Mul", [g.op("Mul", [gate, g.op("Sigmoid", [gate])]), g.linear(y, layer["up"])]), layer["down"]))
    head(g, y, w)
    g.save(path, inputs, outputs)


def head(g, x, w):
    last = g.op("Gather", [x, g.constant(np.array([-1], np.int64))], axis=1)
    logits = g.linear(last, w["embed"])
    g.op("Identity", [logits], ["logits"])


def encoder_onnx(w, path):
    g = Graph()
    ones, zeros = g.constant(np.ones(DIM, np.float32)), g.constant(np.zeros(DIM, np.float32))
    norm = lambda x, out=1: g.op("LayerNormalization", [x, ones, zeros], out, axis=-1, epsilon=EPS_LN)
    x = g.op("Conv", ["image", g.constant(w["patch"]), g.constant(w["patch_bias"])], kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH])
    x = g.op("Transpose", [g.op("Reshape", [x, g.constant(np.array([1, DIM, -1], np.int64))])], perm=[0, 2, 1])
    x = g.op("Add", [x, g.constant(w["position"][None])])
    for layer in w["layers"]:
        y = norm(x)
        q, k, v = (g.linear(y, *layer[part]) for part in "qkv")
        x = g.op("Add", [x, g.linear(g.op("MultiHeadAttention", [q, k, v], domain=MS, num_heads=HEADS), *layer["o"])])
        x = g.op("Add", [x, g.linear(g.op("Gelu", [g.linear(norm(x), *layer["fc1"])], domain=MS), *layer["fc2"])])
    norm(x, ["features"])
    info = helper.make_tensor_value_info
    g.save(path, [info("image", T.FLOAT, [1, 3, SIDE, SIDE])], [info("features", T.FLOAT, [1, TOKENS, DIM])])


# --- the truth, in f64 -------------------------------------------------------------------------------------------------------

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def decoder_truth(w, ids):
    """Logits of the positions 255 (the last of the prompt) and 256 (the decoded token)."""
    f = lambda lin: lin.value.astype(np.float64)
    norm = lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS_RMS)
    t = len(ids)
    angles = np.outer(np.arange(t), THETA ** (-np.arange(0, HEAD, 2) / HEAD))
    cos, sin = np.cos(angles), np.sin(angles)

    def rotate(x):
        a, b = x[..., :HEAD // 2], x[..., HEAD // 2:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    heads = lambda x: x.reshape(t, HEADS, HEAD).transpose(1, 0, 2)
    hidden = np.triu(np.full((t, t), -np.inf), 1)
    x = f(w["embed"]).T[ids]
    for layer in w["layers"]:
        y = norm(x)
        q, k, v = rotate(heads(y @ f(layer["q"]))), rotate(heads(y @ f(layer["k"]))), heads(y @ f(layer["v"]))
        mixed = softmax(q @ k.transpose(0, 2, 1) * HEAD ** -0.5 + hidden) @ v
        x = x + mixed.transpose(1, 0, 2).reshape(t, DIM) @ f(layer["o"])
        y = norm(x)
        gate = y @ f(layer["gate"])
        x = x + (gate / (1 + np.exp(-gate)) * (y @ f(layer["up"]))) @ f(layer["down"])
    return norm(x[CONTEXT - 1:CONTEXT + 1]) @ f(w["embed"])


def encoder_truth(w, picture):
    def norm(x):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS_LN)

    erf = np.vectorize(math.erf, otypes=[np.float64])
    apply = lambda x, pair: x @ pair[0].value.astype(np.float64) + pair[1]
    cells = SIDE // PATCH
    patches = picture.astype(np.float64).reshape(3, cells, PATCH, cells, PATCH).transpose(1, 3, 0, 2, 4).reshape(TOKENS, -1)
    x = patches @ w["patch"].reshape(DIM, -1).T.astype(np.float64) + w["patch_bias"] + w["position"]
    heads = lambda x: x.reshape(TOKENS, HEADS, HEAD).transpose(1, 0, 2)
    for layer in w["layers"]:
        y = norm(x)
        q, k, v = (heads(apply(y, layer[part])) for part in "qkv")
        mixed = softmax(q @ k.transpose(0, 2, 1) * HEAD ** -0.5) @ v
        x = x + apply(mixed.transpose(1, 0, 2).reshape(TOKENS, DIM), layer["o"])
        h = apply(norm(x), layer["fc1"])
        x = x + apply(0.5 * h * (1 + erf(h / np.sqrt(2))), layer["fc2"])
    return norm(x)


# --- all of it ---------------------------------------------------------------------------------------------------------------

def main(out):
    os.makedirs(out, exist_ok=True)
    at = lambda name: os.path.join(out, name)
    picture = image()
    picture.tofile(at("image.f32"))
    ids = token_ids(CONTEXT + 1)
    for precision in ("fp32", "q8", "q4"):
        w = decoder_weights(precision)
        decoder_plain(w, at(f"dec_{precision}.onnx"))
        decoder_fused(w, at(f"dec_{precision}.fused.onnx"))
        decoder_for_facext(w, at(f"dec_{precision}.safetensors"))
        decoder_truth(w, ids).astype(np.float32).tofile(at(f"dec_{precision}.ref"))
        w = encoder_weights(precision)
        encoder_onnx(w, at(f"enc_{precision}.onnx"))
        encoder_for_facext(w, at(f"enc_{precision}.safetensors"))
        encoder_truth(w, picture).astype(np.float32).tofile(at(f"enc_{precision}.ref"))
    # Written last: its presence says that all the rest is there.
    shapes = {"layers": DEC_LAYERS, "heads": HEADS, "head": HEAD, "vocab": VOCAB, "context": CONTEXT, "side": SIDE, "dim": DIM}
    with open(at("shapes.json"), "w") as file:
        json.dump(shapes, file)


if __name__ == "__main__":
    main(sys.argv[1])
