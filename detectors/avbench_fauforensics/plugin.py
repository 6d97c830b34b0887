"""Declares FauForensics: its presets, every setting, and the published weights it starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, Count, DetectorSpec, Preset, Range, Setting, Share, Stage, WeightSpec, ZeroOrMore
from avbench_backbones.shipped import CSN_DEMO, CSN_DEMO_SHA256, WHISPER_DEMO, WHISPER_DEMO_SHA256


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as in the published code."""

    # features and fusion
    width: Count = 512  # L
    query_heads: Count = 8
    query_head_width: Count = 64
    attention_norm: Literal["column", "softmax"] = "column"
    joint_rows: Literal["video", "audio"] = "video"
    head: Literal["linear", "hidden"] = "linear"
    # encoders
    csn_blocks: str = "3,4,23,3"
    csn_width: Count = 64
    audio_state: Count = 512
    audio_heads: Count = 8
    audio_layers: ZeroOrMore = 6
    fau_encoder: str = "graphau"  # or "blendshapes", or "package.module:Class" of one's own
    fau_depth: Literal[18, 50, 101] = 50
    fau_width: Count = 64
    fau_features: Literal["global", "nodes"] = "global"
    fau_units: Count = 8  # of "nodes": 8 as DISFA, 12 as BP4D
    fau_batch_norm: Literal["eval", "train"] = "eval"
    # inputs; pixels of a picture of 224, scaled to others
    crop_from: Count = 160
    crop: Count = 140
    input_size: Count = 112
    csn_input_size: ZeroOrMore = 0  # of the pictures that the CSN sees; 0: as all
    grayscale: Share = 0.0
    masking: bool = True  # random erasing, time and frequency masks
    mel: Literal["20ms", "whisper"] = "20ms"
    # loss (eq. 10)
    loss_weight_joint: float = 0.8
    loss_weight_video: float = 0.1
    loss_weight_audio: float = 0.1
    # ablations, Tables IV and V
    use_ffl: bool = True
    use_ifa: bool = True
    use_tap: bool = True
    use_fau: bool = True
    use_video: bool = True
    use_audio: bool = True
    # start and faithfulness
    whisper_weights: str = "auto"
    csn_weights: str = "auto"
    fau_weights: str = "auto"
    landmarker_weights: str = "auto"  # of fau_encoder=blendshapes
    freeze_encoders: bool = False  # CSN and Whisper stay as they were pre-trained
    query_gain: Annotated[float, Range(above=0)] = 1.0  # of the queries' random weights; above 1, attention is peaked
    reproduce_bugs: bool = False


OFFICIAL = Settings()
PAPER = replace(
    OFFICIAL,
    fau_features="nodes",
    mel="whisper",
    crop=160,
    grayscale=0.5,
    attention_norm="softmax",
    joint_rows="audio",
    head="hidden",
)
DEMO = replace(
    OFFICIAL,
    width=96,
    query_heads=4,
    query_head_width=24,
    csn_blocks="1,1,1,1",
    csn_width=8,
    audio_state=96,
    audio_heads=4,
    audio_layers=2,
    fau_depth=18,
    fau_width=12,
    crop_from=140,
    input_size=70,
    csn_input_size=56,
    masking=False,
    loss_weight_joint=0.4,
    loss_weight_video=0.4,
    loss_weight_audio=0.2,
    freeze_encoders=True,
    query_gain=30.0,
    whisper_weights="whisper-demo",
    csn_weights="csn-demo",
    fau_weights="graphau-demo",
)

CLIP = ClipSpec(frames=25, fps=25, size=224, audio_samples=16_000)
STAGE = Stage(epochs=50, batch=32, drop_last=False, lr=1e-4, weight_decay=1e-2, clip_norm=1.0, precision="16-mixed")
DEMO_CLIP = ClipSpec(frames=25, fps=25, size=112, audio_samples=16_000)
DEMO_STAGE = Stage(epochs=12, batch=4, micro_batch=4, lr=1.5e-3, weight_decay=1.0, clip_norm=1.0)

ACCUMULATE_ON_LAVDF: dict[str, dict[str, Setting]] = {"lavdf": {"accumulate": 2}}
# BatchNorm of the frozen encoder drifts, and loss-scaled gradients are bounded after each batch, as in the published
# code.
BUGS: dict[str, dict[str, Setting]] = {"reproduce_bugs": {"fau_batch_norm": "train", "clip_scaled": True}}

# When there is a ME-GraphAU, and which one the published files fit.
GRAPHAU: dict[str, Setting] = {"use_fau": True, "use_ffl": True, "fau_encoder": "graphau"}
RESNET50: dict[str, Setting] = {"fau_depth": 50, "fau_width": 64}

WEIGHTS = (
    WeightSpec(
        name="whisper-base",
        setting="whisper_weights",
        title="Whisper base, multilingual (its encoder is used)",
        when={"use_audio": True},
        fits={"audio_state": 512, "audio_layers": 6},
        url="https://openaipublic.azureedge.net/main/whisper/models/"
        "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e/base.pt",
        licence="MIT",
        sha256="ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    ),
    WeightSpec(
        name="whisper-demo",
        setting="whisper_weights",
        when={"use_audio": True},
        title="narrow Whisper encoder of the demo preset; taught on the demo speakers, speech",
        url="",
        licence="Apache-2.0",
        sha256=WHISPER_DEMO_SHA256,
        shipped=WHISPER_DEMO,
    ),
    WeightSpec(
        name="csn-r101-kinetics400",
        setting="csn_weights",
        when={"use_video": True},
        fits={"csn_blocks": "3,4,23,3", "csn_width": 64},
        title="ir-CSN-101, Kinetics-400, 32 x 2 (pytorchvideo)",
        url="https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/CSN_32x2_R101.pyth",
        licence="Apache-2.0",
    ),
    WeightSpec(
        name="csn-demo",
        setting="csn_weights",
        when={"use_video": True},
        title="narrow ir-CSN of the demo preset; taught on the demo speakers, lips",
        url="",
        licence="Apache-2.0",
        sha256=CSN_DEMO_SHA256,
        shipped=CSN_DEMO,
    ),
    WeightSpec(
        name="graphau-demo",
        setting="fau_weights",
        when=GRAPHAU,
        title="ME-GraphAU ResNet-18, narrow, of the demo preset; taught on the demo faces, 8 action units",
        url="",
        licence="Apache-2.0",
        sha256="9863f86def2f6810f8d934e3cfa775d20f4a92f7bfdddba6e6b6d24da2228337",
        shipped="avbench_fauforensics:graphau_demo.safetensors",
    ),
    WeightSpec(
        name="megraphau-disfa-r50",
        setting="fau_weights",
        when=GRAPHAU,
        fits=RESNET50,
        title="ME-GraphAU ResNet-50, DISFA, 8 action units, one of three folds",
        file="ME-GraphAU_resnet50_DISFA.zip",
        by_hand="Unpack it and take one of its three files, such as MEFARG_resnet50_DISFA_fold2.pth",
        url="https://drive.google.com/file/d/1V-imbmhg-OgcP2d9SETT5iswNtCA0f8_",
        licence="MIT",
    ),
    WeightSpec(
        name="megraphau-bp4d-r50",
        setting="fau_weights",
        when=GRAPHAU,
        fits=RESNET50,
        title="ME-GraphAU ResNet-50, BP4D, 12 action units, one of three folds",
        file="ME-GraphAU_resnet50_BP4D.zip",
        by_hand="Unpack it and take one of its three files, such as MEFARG_resnet50_BP4D_fold1.pth",
        url="https://drive.google.com/file/d/1gYVHRjIj6ounxtTdXMje4WNHFMfCTVF9",
        licence="MIT",
    ),
    WeightSpec(
        name="mediapipe-face-landmarker",
        setting="landmarker_weights",
        when={**GRAPHAU, "fau_encoder": "blendshapes"},
        random=False,
        title="MediaPipe Face Landmarker, float16 (its mesh and blendshapes are used)",
        size=3_758_596,
        url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        licence="Apache-2.0",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    ),
)


@hookimpl
def avbench_detectors() -> Iterable[DetectorSpec]:
    """Yield FauForensics."""
    yield DetectorSpec(
        name="fauforensics",
        load="avbench_fauforensics.detector:FauForensics",
        title="FauForensics",
        summary="video, action units and sound, aligned by shared queries and compared moment by moment",
        presets=(
            Preset("official", CLIP, OFFICIAL, (STAGE,), ACCUMULATE_ON_LAVDF, BUGS),
            Preset("paper", CLIP, PAPER, (STAGE,), switches=BUGS),  # whose batch is 32, nothing accumulated
            Preset("demo", DEMO_CLIP, DEMO, (DEMO_STAGE,), switches=BUGS, eval_batch=16),
        ),
        weights=WEIGHTS,
        paper="https://arxiv.org/abs/2505.08294",
    )
