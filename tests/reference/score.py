"""Makes tests/fixtures/score/: grounded answers with references, and the figures of the reference packages.

pip install pycocotools==2.0.11 pycocoevalcap==1.2 numpy; needs Java for the tokenizer and METEOR of pycocoevalcap. The grouped
mIoU and the mask recall are written out here from GLaMM's definitions (eval/gcg), on pycocotools' IoUs. METEOR is the package's jar,
run with `-m "exact stem"`: the modules that facext has.
"""
import contextlib
import io
import json
import pathlib
import re
import subprocess

import numpy as np
import pycocoevalcap
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "score"
JAR = pathlib.Path(next(iter(pycocoevalcap.__path__))) / "meteor" / "meteor-1.5.jar"
SIDE = 40
PARTS = ["left eye", "right eye", "nose", "mouth", "chin", "left cheek", "right cheek", "forehead", "eyebrows"]
FINDINGS = [
    ("does not match the skin around it in colour and texture", "do not match the skin around them in colour and texture"),
    ("lacks fine detail", "lack fine detail"),
    ("is unusually smooth", "are unusually smooth"),
    ("looks pasted in: its border does not fit", "look pasted in: their borders do not fit"),
]
HINTS = ["This fits a face swap.", "This fits an attribute edit.", "This fits a reenactment.", ""]
PROSE = [
    "It's unusually smooth, isn't it? The nose (tip) doesn't fit...",
    "Mr. Smith's face wasn't changed at 5:30 p.m., 3.5 percent of 1,000 px vs. the rest, etc.",
    "The eyes look blurred -- or \"painted over\" -- and they're smoother than 50% of well-known photos!",
    "The blurring blurs the blurred eyes; the eyes' edges were blending, blended and self-blended.",
    "the the the nose nose of the nose and the nose and the chin of the nose and the mouth of the chin",
    "What?! You can't see it: the mouth's outline cannot match, e.g. the lips' colours won't fit.",
    "the chin", "", "A forged nose and a forging of noses", "swapping swapped swaps swap swapper",
]

# For the tokenizer alone.
LINES = [
    "the \"quoted\" word -- and 'single' ones - dash / slash and/or 50% $20 #tag {x} (y) [z]",
    "they're we'll I've he'd cannot gonna wanna can't won't o'clock '90s 1990s it’s – en — “curly” ‘single’ café £5 €6",
    "full stop.No space.And well-known x-ray 10-15 A-b-c co-operate pulled-out half- and pre- post",
    "hello!!! what?! wow... ;; :: ,, the jaw* ~tilde ^caret _under_ a&b = + 1st 0.5 .5 -5 +5 1e5 5px 448x448 448×448 and 3/4 12/25/2013",
    "the chin' and the dogs' tails. ''double'' `back` ``ticks'' a. b. c. d. U.S.A. Ph.D. no. 5 and no. Fig. 3",
]


def caption(rng, parts, grounded):
    if not parts:
        return str(rng.choice(["No sign of forgery was found", "There is no sign of forgery"])) + " in the eyes, the nose, the mouth and the skin."
    names = [f"the <p> {p} </p> [SEG]" if grounded else f"the {p}" for p in parts]
    subject = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    finding = FINDINGS[rng.integers(len(FINDINGS))][len(names) > 1]
    opening = rng.choice(["Signs of forgery were found", "There are signs of forgery"])
    return f"{opening}. {subject[0].upper() + subject[1:]} {finding}. {HINTS[rng.integers(len(HINTS))]}".strip()


def blob(rng, of=None):
    y, x = np.mgrid[:SIDE, :SIDE]
    if of is not None:  # the same blob, moved and resized a little
        cy, cx, r = of[0] + rng.normal(0, 1.5), of[1] + rng.normal(0, 1.5), max(1.5, of[2] * rng.uniform(0.7, 1.3))
    else:
        cy, cx, r = rng.uniform(4, SIDE - 4), rng.uniform(4, SIDE - 4), rng.uniform(2.5, 9)
    return (cy, cx, r), ((y - cy) ** 2 + (x - cx) ** 2 < r * r).astype(np.uint8)


def encode(mask):
    code = rle.encode(np.asfortranarray(mask))
    return {"size": code["size"], "counts": code["counts"].decode()}


def make(rng, count):
    predictions, references = [], []
    for i in range(count):
        n = int(rng.integers(0, 4))
        parts = [str(p) for p in rng.choice(PARTS, n, replace=False)]
        blobs = [blob(rng) for _ in parts]
        said, masks = [], []
        for part, (shape, _) in zip(parts, blobs):
            if rng.random() < 0.8:
                said.append(part if rng.random() < 0.7 else str(rng.choice(PARTS)))
                masks.append(blob(rng, shape)[1])
        if rng.random() < 0.3:
            said.append(str(rng.choice(PARTS)))
            masks.append(blob(rng)[1])
        if i == 5:
            said.append("chin")
            masks.append(np.zeros((SIDE, SIDE), np.uint8))
        captions = [caption(rng, parts, False) for _ in range(1 + int(rng.random() < 0.3))]
        answer = caption(rng, said, True)
        if i < 2 * len(PROSE):  # prose against prose: other words, contractions, repeated words, nothing
            answer, captions = PROSE[i % len(PROSE)], [PROSE[(i + i // len(PROSE)) % len(PROSE)]] + ([PROSE[(3 * i + 1) % len(PROSE)]] if i % 3 == 0 else [])
        predictions.append({"image_id": i * 7 % count, "phrases": said, "masks": [encode(m) for m in masks], "caption": answer})
        references.append({"image_id": i * 7 % count, "phrases": parts, "masks": [encode(m) for _, m in blobs],
                           "caption": captions[0] if len(captions) == 1 else captions})
    return predictions, references


def bare(text):
    return " ".join(re.sub(r"<.*?>", "", text).replace("[SEG]", "").split())


def several(item):
    return [item["caption"]] if isinstance(item["caption"], str) else item["caption"]


def tokens(items):
    return PTBTokenizer().tokenize({i["image_id"]: [{"caption": bare(c)} for c in several(i)] for i in items})


def meteor(res, gts):
    cmd = ["java", "-Xmx2G", "-jar", str(JAR), "-", "-", "-stdio", "-l", "en", "-norm", "-m", "exact stem"]
    process = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=JAR.parent)

    def ask(line, answers):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return [process.stdout.readline().strip() for _ in range(answers)]

    stats = [ask(" ||| ".join(["SCORE", *gts[k], res[k][0].replace("  ", " ")]), 1)[0] for k in gts]
    figures = [float(v) for v in ask(" ||| ".join(["EVAL", *stats]), len(stats) + 1)]
    process.stdin.close()
    process.wait()
    return figures[-1], figures[:-1]


def ious(pred, truth):
    if not pred or not truth:
        return np.zeros((len(pred), len(truth)))
    return rle.iou(pred, truth, [0] * len(truth))


def miou(table):
    pairs = []
    while table.size > 0 and table.max() > 0:
        i, j = np.unravel_index(np.argmax(table), table.shape)
        pairs.append(table[i, j])
        table = np.delete(np.delete(table, i, 0), j, 1)
    return float(np.mean(pairs)) if pairs else 0.0, float(np.sum(pairs))


def recalled(table, similar):
    table, count = table.copy(), 0
    while table.size > 0 and table.max() > 0:
        i, j = np.unravel_index(np.argmax(table), table.shape)
        if table[i, j] < 0.5 or similar[i][j] < 0.5:
            break
        count += 1
        table[i, :] = 0
        table[:, j] = 0
    return count


def ap50(predictions, references):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": r["image_id"], "height": SIDE, "width": SIDE} for r in references], "categories": [{"id": 1}], "annotations": []}
        for r in references:
            for m in r["masks"]:
                coco.dataset["annotations"].append({"id": len(coco.dataset["annotations"]) + 1, "image_id": r["image_id"], "category_id": 1,
                                                    "segmentation": m, "area": float(rle.area(m)), "iscrowd": 0, "bbox": list(rle.toBbox(m))})
        coco.createIndex()
        found = coco.loadRes([{"image_id": p["image_id"], "category_id": 1, "segmentation": m, "score": 1.0} for p in predictions for m in p["masks"]])
        run = COCOeval(coco, found, "segm")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return float(run.stats[1])


def expected(predictions, references, similarities):
    res, gts = tokens(predictions), tokens(references)
    gts = {k: gts[k] for k in res}
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, _ = Bleu(4).compute_score(gts, res, verbose=0)
        cider, _ = Cider().compute_score(gts, res)
        rouge, _ = Rouge().compute_score(gts, res)
    score, single = meteor(res, gts)
    truth = {r["image_id"]: r for r in references}
    means, symmetric, hits, wanted = [], [], 0, 0
    for p in predictions:
        r = truth[p["image_id"]]
        table = np.array(ious(p["masks"], r["masks"]))
        mean, total = miou(table)
        means.append(mean)
        most = max(table.shape)
        symmetric.append(total / most if most else 1.0)
        hits += recalled(table, similarities[p["image_id"]])
        wanted += len(r["masks"])
    return {
        "scores": {"n_images": len(references), "ap50": ap50(predictions, references), "miou": float(np.mean(means)), "miou_sym": float(np.mean(symmetric)),
                   "recall": hits / wanted, "cider": float(cider), "meteor_exact_stem": score, "rouge_l": float(rouge),
                   **{f"bleu{k + 1}": float(bleu[k]) for k in range(4)}},
        "meteor_of_each": dict(zip(map(str, gts), single)),
        "tokens": [[bare(c), t] for items, made in ((predictions, res), (references, gts)) for i in items for c, t in zip(several(i), made[i["image_id"]])]
        + [[c, t[0]] for c, t in zip(LINES, PTBTokenizer().tokenize({k: [{"caption": c}] for k, c in enumerate(LINES)}).values())],
    }


def main():
    rng = np.random.default_rng(11)
    predictions, references = make(rng, 60)
    truth = {r["image_id"]: r for r in references}
    # Any numbers do for the recall: GLaMM takes them from BERT.
    similarities = {p["image_id"]: [[round(float(rng.uniform(0.35, 1)), 3) for _ in truth[p["image_id"]]["phrases"]] for _ in p["phrases"]] for p in predictions}
    OUT.mkdir(parents=True, exist_ok=True)
    for name, value in [("predictions", predictions), ("references", references),
                        ("similarities", [{"image_id": k, "similarity": v} for k, v in similarities.items()]),
                        ("expected", expected(predictions, references, similarities))]:
        (OUT / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
