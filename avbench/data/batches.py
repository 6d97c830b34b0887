"""Samples -> clips -> batches: what is asked of the media reader, and how its clips become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import nan
from typing import Any

import cv2
import numpy as np
import torch

from avbench.data.annotations import annotations_of
from avbench.data.placement import require_forged
from avbench.data.requests import ClipRequest
from avbench.media.decoders import PYAV
from avbench.media.reading import probe
from avbench.perturbations.conditions import Condition
from avbench.perturbations.decoded_clip import DecodedClip
from avbench.perturbations.open_clip import OpenClip
from avbench.plugins.registry import installed
from avbench.types import Clip, ClipBatch, ClipSpec, MediaError, MediaInfo, Reason, Stream


def load_clip(request: ClipRequest, spec: ClipSpec, requires: frozenset[Stream], hook: Any = None) -> Clip:
    """Load one clip; plugins that decode (`avbench_decode`) are asked first.

    `hook` is a pluggy hook relay, by default that of the installed plugins. A stream that the spec asks for is decoded
    even if it is not required.

    Raises MediaError: what `OpenClip` raises, and `no_video` or `no_audio` where a required stream is missing.
    """
    (clip,) = load_clips([request], spec, requires, hook)
    if isinstance(clip, MediaError):
        raise clip
    return clip


def load_clips(
    requests: Sequence[ClipRequest],
    spec: ClipSpec,
    requires: frozenset[Stream],
    hook: Any = None,
    *,
    decoder: str = PYAV,
) -> list[Clip | MediaError]:
    """Load the one clip that all requests ask for under the condition of each, decoding the video once.

    `decoder` decodes the pictures, where no plugin does.

    Raises MediaError where `load_clip` would for all of them, and `period_missed` where a clip that is called fake
    holds nothing that is forged; what fails one condition stands in its place.
    """
    hook = installed().manager.hook if hook is None else hook
    opened = _open(requests, spec, hook, decoder)
    clean = opened.clean()  # what fails it fails all
    clips = [_under(opened, request.condition) for request in requests]
    path = requests[0].sample.path
    for loaded in clips:
        if isinstance(loaded, Clip) and "video" in requires and not loaded.has_video:
            raise MediaError(Reason.NO_VIDEO, f"{path}: no pictures in the clip")
        if isinstance(loaded, Clip) and "audio" in requires and not loaded.has_audio:
            raise MediaError(Reason.NO_AUDIO, f"{path}: no sound in the clip")
    require_forged(requests[0], clean, spec)
    if not spec.annotations:
        return clips
    return [
        replace(one, annotations=annotations_of(requests[0].sample, spec, one.start, len(one.frames)))
        if isinstance(one, Clip)
        else one
        for one in clips
    ]


def _open(requests: Sequence[ClipRequest], spec: ClipSpec, hook: Any, decoder: str) -> OpenClip | DecodedClip:
    first = requests[0]
    if (decoded := _ask_plugins(first, spec, hook)) is not None:
        return DecodedClip(decoded, spec, first.sample.id)
    return OpenClip(
        first.sample.path,
        spec,
        first.where,
        conditions=[request.condition for request in requests if request.condition is not None],
        video=first.sample.id,
        track=hook.avbench_face_track if hook.avbench_face_track.get_hookimpls() else None,
        decoder=decoder,
    )


def _under(opened: OpenClip | DecodedClip, condition: Condition | None) -> Clip | MediaError:
    try:
        return opened.clean() if condition is None else opened.under(condition)
    except MediaError as error:  # it costs this condition only
        return error


def _ask_plugins(request: ClipRequest, spec: ClipSpec, hook: Any) -> Clip | None:
    if not hook.avbench_decode.get_hookimpls():
        return None
    path, start, skip = request.sample.path, request.start, request.sample.skip
    if start is None:
        duration = request.sample.duration or probe(path).duration - skip
        start = request.where.begin(duration, spec.seconds)
    clip: Clip | None = hook.avbench_decode(path=path, start=start + skip, spec=spec)
    if clip is None:
        return None
    lengths, most = (len(clip.frames), len(clip.sound)), (spec.frames, spec.samples)
    fits = all(n <= m for n, m in zip(lengths, most, strict=True)) if spec.whole else lengths == most
    if not fits or clip.frames.shape[1:] != (spec.size, spec.size, 3):
        raise MediaError(
            Reason.UNREADABLE, f"{path}: a plugin decoded {clip.frames.shape} and {len(clip.sound)} samples"
        )
    with suppress(MediaError):  # a plugin may read what nothing else does
        clip = replace(clip, info=probe(path))
    return clip


def collate(loaded: Sequence[tuple[ClipRequest, Clip]]) -> ClipBatch:
    """Join clips into a batch; shorter ones (of detectors that see whole videos) are padded with zeros."""
    clips = [clip for _, clip in loaded]
    frames, samples = max(len(clip.frames) for clip in clips), max(len(clip.sound) for clip in clips)
    video = np.zeros((len(clips), frames, 3, *clips[0].frames.shape[1:3]), np.uint8)
    audio = np.zeros((len(clips), samples), np.float32)
    for row, clip in enumerate(clips):
        for k, frame in enumerate(clip.frames):
            cv2.split(frame, list(video[row, k]))  # into these planes; six times as fast as to transpose
        audio[row, : len(clip.sound)] = clip.sound
    return ClipBatch(
        video=torch.from_numpy(video),
        audio=torch.from_numpy(audio),
        frames=torch.tensor([clip.valid_frames for clip in clips]),
        samples=torch.tensor([clip.valid_samples for clip in clips]),
        forgery=torch.tensor([int(request.forgery) for request, _ in loaded]),
        has_audio=torch.tensor([clip.has_audio for clip in clips]),
        has_video=torch.tensor([clip.has_video for clip in clips]),
        seed=torch.tensor([request.seed for request, _ in loaded]),
        ids=tuple(request.sample.id for request, _ in loaded),
        annotations={**facts([clip.info for clip in clips]), **_joined_annotations(clips, frames)},
    )


def _joined_annotations(clips: Sequence[Clip], frames: int) -> dict[str, torch.Tensor]:
    """Return the frame-level annotations (B,T,N) of clips, nan behind a clip's last frame."""
    joined = {}
    for name, first in clips[0].annotations.items():
        values = np.full((len(clips), frames, first.shape[1]), np.nan, np.float32)
        for row, clip in enumerate(clips):
            values[row, : len(clip.annotations[name])] = clip.annotations[name]
        joined[name] = torch.from_numpy(values)
    return joined


def facts(infos: Sequence[MediaInfo | None]) -> dict[str, torch.Tensor]:
    """Return what headers say of files, (B,) float32 by name; nan where none was read."""
    names = ("file_seconds", "file_bytes", "file_kbps", "file_fps", "file_frames")
    rows = [(nan,) * len(names) if info is None else _facts_of(info) for info in infos]
    return dict(zip(names, torch.tensor(rows, dtype=torch.float32).reshape(-1, len(names)).unbind(dim=1), strict=True))


def _facts_of(info: MediaInfo) -> tuple[float, ...]:
    kbps = info.bytes / 125 / info.duration if info.duration else nan
    return info.duration, info.bytes, kbps, info.fps, info.frames
