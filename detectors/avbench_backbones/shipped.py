"""The small encoders that come with this package, for demo presets that start from them: where each is, its sha256."""

from __future__ import annotations

CSN_DEMO = "avbench_backbones:csn_demo.safetensors"
CSN_DEMO_SHA256 = "ca7f99a4bc48ebb57bfd20f9cca8c3a9178caf63203ae8c0d6734ca32d451f4a"

WHISPER_DEMO = "avbench_backbones:whisper_demo.safetensors"
WHISPER_DEMO_SHA256 = "f1c6dff142a9ab0ea99a0d695c5c88e9c7b7150cf4ec9f4702a0b8dcd0eb4616"

MOUTH_DEMO = "avbench_backbones:mouth_demo.safetensors"
MOUTH_DEMO_SHA256 = "?"
