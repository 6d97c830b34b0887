"""The small encoders that come with this package, for demo presets that start from them: where each is, its sha256."""

from __future__ import annotations

CSN_DEMO = "avbench_backbones:csn_demo.safetensors"
CSN_DEMO_SHA256 = "c96d17be6accc3d9346d528f707f10f9ff4a9449419fd217a17e22b6bb909f1b"

WHISPER_DEMO = "avbench_backbones:whisper_demo.safetensors"
WHISPER_DEMO_SHA256 = "fd9234a13e91d5999fac9ca41f5c4f86e11737101241f9817574cb5d2f3b2125"
