"""Declares the built-in perturbations with their exact level tables; imports nothing that computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from avbench.hookspecs import hookimpl
from avbench.types import PerturbationSpec

DF10 = "DeeperForensics-1.0"
PAPER = ("paper",)
_HERE = "avbench.perturbations.transforms"


@hookimpl
def avbench_perturbations() -> Iterable[PerturbationSpec]:
    """Yield the six types of the paper's Figure 6 in its order, then further ones for pictures and for sound."""
    yield PerturbationSpec(
        "video_compression",
        "Video Compression",
        f"{_HERE}.compression:h264",
        "video",
        (30, 32, 35, 38, 40),
        whole_stream=True,
        unit="CRF",
        source=DF10,
        sets=PAPER,
        encoders=("libx264",),
    )
    yield _of_pictures("jpeg_df10", "JPEG Compression (pixelation)", "detail:pixelate", (2, 3, 4, 5, 6), "x smaller")
    yield _of_pictures(
        "contrast", "Color Contrast", "colour:contrast", (0.85, 0.725, 0.6, 0.475, 0.35), "of the values"
    )
    yield _of_pictures("gaussian_blur", "Gaussian Blur", "detail:blur", (7, 9, 13, 17, 21), "px kernel")
    yield _of_pictures(
        "gaussian_noise", "Gaussian Noise", "colour:gaussian_noise", (0.001, 0.002, 0.005, 0.01, 0.05), "variance"
    )
    yield _of_pictures(
        "saturation", "Color Saturation", "colour:saturation", (0.4, 0.3, 0.2, 0.1, 0.0), "of the chroma"
    )

    blocks = (16, 32, 48, 64, 80)
    yield replace(  # which leaves pictures under 256 px as they are, and would end a sweep over all types there
        _of_pictures("blockwise", "Block-wise, as published", "detail:blockwise", blocks, "blocks", sets=()),
        by_name_alone=True,
    )
    yield _of_pictures(
        "blockwise_adapted",
        "Block-wise, adapted",
        "detail:blockwise_adapted",
        blocks,
        "blocks",
        sets=(),
        source=f"{DF10}, at least once",
    )
    yield _of_pictures(
        "jpeg", "JPEG", "detail:jpeg", (25, 18, 15, 10, 7), "quality", sets=(), source="ImageNet-C, AVROBUSTBENCH"
    )
    yield _of_pictures(
        "resize", "Resize", "detail:resize", (0.75, 0.5, 0.375, 0.25, 0.15), "of the size", sets=(), source=""
    )

    yield _of_sound("white_noise", "White Noise", "noise:white_noise", (40, 30, 20, 10, 0), "dB SNR")
    yield _of_sound("babble", "Babble", "noise:babble", (20, 15, 10, 5, 0), "dB SNR", voices=4)
    yield _of_sound("reverberation", "Reverberation", "rooms:reverberation", (0.2, 0.35, 0.5, 0.7, 1.0), "s RT60")
    yield _of_sound("mp3", "MP3", "codecs:mp3", (64, 48, 32, 16, 8), "kbit/s", encoders=("libmp3lame",))
    yield _of_sound("opus", "Opus", "codecs:opus", (24, 16, 12, 8, 6), "kbit/s", encoders=("libopus",))
    yield _of_sound("aac", "AAC", "codecs:aac", (64, 48, 32, 24, 16), "kbit/s", encoders=("aac",))
    yield _of_sound("low_pass", "Low-pass", "bands:low_pass", (7000, 5500, 4000, 2000, 1000), "Hz")
    yield _of_sound("resample", "Resampling", "bands:resample_and_back", (12_000, 8000, 6000, 4000, 3000), "Hz")
    yield _of_sound("clipping", "Clipping Gain", "noise:clipping_gain", (6, 10, 14, 18, 22), "dB")
    yield _of_sound("desync", "Audio-video Desync", "rooms:desync", (40, 80, 160, 320, 640), "ms")


def _of_pictures(
    name: str,
    title: str,
    load: str,
    levels: tuple[float, float, float, float, float],
    unit: str,
    *,
    sets: tuple[str, ...] = PAPER,
    source: str = DF10,
) -> PerturbationSpec:
    return PerturbationSpec(name, title, f"{_HERE}.{load}", "video", levels, unit=unit, sets=sets, source=source)


def _of_sound(
    name: str,
    title: str,
    load: str,
    levels: tuple[float, float, float, float, float],
    unit: str,
    *,
    encoders: tuple[str, ...] = (),
    voices: int = 0,
) -> PerturbationSpec:
    return PerturbationSpec(
        name,
        title,
        f"{_HERE}.{load}",
        "audio",
        levels,
        whole_stream=True,
        unit=unit,
        encoders=encoders,
        voices=voices,
    )
