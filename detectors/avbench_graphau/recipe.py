"""How ME-GraphAU is pre-trained: presets, what differs between databases, weights it can start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from avbench.types import ClipSpec, Count, Preset, PretrainingSpec, Range, Setting, Share, Stage, WeightSpec

ANNOTATION = "au"  # the frame-level truth of a dataset that is learnt


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in the published code."""

    # network
    backbone: Literal["resnet18", "resnet50", "resnet101", "swin_tiny", "swin_small", "swin_base"] = "resnet50"
    width: Count = 64  # channels of a ResNet's stem
    units: Count = 8  # set by the database
    neighbours: Count = 4  # in the graph of the first stage
    metric: Literal["dots", "cosine", "l1", "l2"] = "dots"
    # labels
    unit_names: str = ""  # set by the database
    positive_from: float = 2.0  # intensity
    unit_weights: str = "auto"  # from how often units occur in the training frames; or numbers, separated by commas
    edge_weight: Annotated[float, Range(min=0)] = 0.001  # of the pairs' cross-entropy in the second stage
    # inputs; pixels of the picture that is fed
    crop_from: Count = 256
    crop: Count = 224
    input_size: Count = 224
    jitter: Share = 0.4
    # start
    backbone_weights: str = "auto"  # or a file of torchvision's ResNet or Microsoft's Swin
    graphau_weights: str = "random"  # or a file of ME-GraphAU, of either stage


OFFICIAL = Settings()
DEMO = Settings(
    backbone="resnet18",
    width=12,
    crop_from=72,
    crop=70,
    input_size=70,
    jitter=0.1,
    backbone_weights="random",
)

CLIP = ClipSpec(frames=1, size=256, audio_samples=0, annotations=(ANNOTATION,))
DEMO_CLIP = ClipSpec(frames=1, fps=5.0, size=112, audio_samples=0, annotations=(ANNOTATION,))
STAGE = Stage("anfl", epochs=20, batch=64, lr=1e-4, weight_decay=5e-4, clip_norm=0.0)
STAGES = (STAGE, replace(STAGE, name="mefl", lr=1e-5))
DEMO_STAGE = Stage("anfl", epochs=24, batch=16, micro_batch=16, lr=1e-3, weight_decay=5e-4, clip_norm=0.0)
DEMO_STAGES = (DEMO_STAGE, replace(DEMO_STAGE, name="mefl", epochs=6, lr=5e-4))

FOR_DATASET: dict[str, dict[str, Setting]] = {
    "disfa": {"clip.fps": 20.0, "neighbours": 3, "edge_weight": 0.01},
    "disfa_plus": {"clip.fps": 20.0, "neighbours": 3, "edge_weight": 0.01},
    "bp4d": {"neighbours": 4, "edge_weight": 0.05, "positive_from": 1.0},
    "demo": {"neighbours": 3, "positive_from": 1.0, "edge_weight": 0.01},
    "demo_faces": {"clip.fps": 25.0, "neighbours": 3, "positive_from": 1.0, "edge_weight": 0.01},
}
# The second stage's rate on DISFA is one of its own; elsewhere, BP4D included, the published default.
SLOW: dict[str, Setting] = {"mefl.lr": 1e-6}
OFFICIAL_FOR_DATASET = FOR_DATASET | {name: FOR_DATASET[name] | SLOW for name in ("disfa", "disfa_plus")}

WITHOUT_GRAPHAU: dict[str, Setting] = {"graphau_weights": "random"}  # a file of it has a backbone too

WEIGHTS = (
    WeightSpec(
        name="resnet50-imagenet",
        setting="backbone_weights",
        when=WITHOUT_GRAPHAU,
        fits={"backbone": "resnet50", "width": 64},
        title="ResNet-50, ImageNet (torchvision, V1)",
        url="https://download.pytorch.org/models/resnet50-19c8e357.pth",
        licence="BSD-3-Clause",
    ),
    WeightSpec(
        name="swin-base-imagenet",
        setting="backbone_weights",
        when=WITHOUT_GRAPHAU,
        fits={"backbone": "swin_base"},
        title="Swin-B, ImageNet, 224 px (Microsoft); needs backbone=swin_base",
        url="https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_base_patch4_window7_224.pth",
        licence="MIT",
    ),
    WeightSpec(
        name="megraphau-disfa-r50",
        setting="graphau_weights",
        fits={"backbone": "resnet50", "width": 64, "units": 8},
        title="ME-GraphAU ResNet-50, DISFA, 8 action units, one of three folds",
        file="ME-GraphAU_resnet50_DISFA.zip",
        by_hand="Unpack it and take one of its three files, such as MEFARG_resnet50_DISFA_fold2.pth",
        url="https://drive.google.com/file/d/1V-imbmhg-OgcP2d9SETT5iswNtCA0f8_",
        licence="MIT",
    ),
)

SPEC = PretrainingSpec(
    name="graphau",
    load="avbench_graphau.detector:GraphAU",
    title="ME-GraphAU",
    annotation=ANNOTATION,
    learns="action units",
    labels="avbench_graphau.loss:labels_of_values",
    loss="avbench_graphau.detector:frame_loss",
    settings="avbench_graphau.loss:settings_of",
    decided=("units", "unit_names"),
    presets=(
        Preset("official", CLIP, OFFICIAL, STAGES, OFFICIAL_FOR_DATASET, eval_batch=64),
        Preset("demo", DEMO_CLIP, DEMO, DEMO_STAGES, FOR_DATASET, eval_batch=64),
    ),
    weights=WEIGHTS,
    prefix="network.",
    continues="graphau_weights",
    used_by="FauForensics uses it by --set fau_weights=FILE",
    paper="https://arxiv.org/abs/2205.01782",
)
