"""The small encoders that come with this package, for demo presets that start from them: where each is, its sha256."""

from __future__ import annotations

CSN_DEMO = "avbench_backbones:csn_demo.safetensors"
CSN_DEMO_SHA256 = "af8f8557282776291890a519ad3a79c7e89ebfff25dd94efc31899d59938d5c5"

WHISPER_DEMO = "avbench_backbones:whisper_demo.safetensors"
WHISPER_DEMO_SHA256 = "f1c6dff142a9ab0ea99a0d695c5c88e9c7b7150cf4ec9f4702a0b8dcd0eb4616"

MOUTH_DEMO = "avbench_backbones:mouth_demo.safetensors"
MOUTH_DEMO_SHA256 = "495ac49462eb25f29c047183e133b705c3ec8a6e7a656702de68a1d89197627b"
