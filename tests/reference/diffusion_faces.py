#!/usr/bin/env python3
"""Faces made by diffusion models, for `facext eval --untouched DIR --forged DIR`. Nothing of them is in the product or its training.

    pip install --no-deps comfyui-workflow-templates-media-image==0.3.160 comfyui-workflow-templates-media-other==0.3.229 \\
        comfyui-workflow-templates-media-assets-01==0.1.48
    python tests/reference/diffusion_faces.py OUT

The packages (MIT) hold one picture of about 400 pixels, a lossy WebP, for each of a few hundred example workflows of ComfyUI. The names
below are those that show a photo-like face that a model made or edited, chosen by eye and by what the workflow is for. They are small,
posed and few: a look, not a benchmark.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

PACKAGES = [f"comfyui_workflow_templates_media_{name}" for name in ("image", "other", "assets_01")]

NAMES = """
api_openai_gpt_image_25_sunburst_image_edit-1 api_openrouter_mai_image_26_flash-1 api_seedance2_0_r2v-1
flux1_dev_uso_reference_image_gen-2 flux1_krea_dev-1 flux_dev_checkpoint_example-1 gsl_starter_1_1-1 hidream_e1_1-2 hidream_i1_dev-1
hidream_i1_full-1 image-qwen_image_edit_2511_lora_inflation-2 image_firered_image_edit1_1-2 image_flux2-2 image_hidream_o1-1
image_z_image_turbo-1 image_z_image_turbo_fun_union_controlnet-1 template_character_portrait_relighting-1
template_image_speech_to_video-1 template_ltx2_3_style_transition-1 templates-portrait_light_migration-1 video_kandinsky5_t2v-1
video_ltx2_5_t2v-1 video_ltx2_i2v-1 wan2.1_fun_control-2
""".split()


def main(out: Path) -> None:
    folders = [Path(importlib.util.find_spec(package).origin).parent / "templates" for package in PACKAGES]
    out.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        found = [path for folder in folders if (path := folder / f"{name}.webp").exists()]
        if not found:
            sys.exit(f"no package has {name}.webp")
        shutil.copy(found[0], out / found[0].name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
