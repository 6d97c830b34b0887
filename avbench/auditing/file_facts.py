"""What is measured of one file: its header, its streams' packets and their hashes, and how it sounds and looks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from avbench.auditing.damage import Damage
from avbench.auditing.picture_facts import picture_facts
from avbench.auditing.sound_facts import sound_facts
from avbench.data.workers import begin_file
from avbench.hashing import sha256
from avbench.media.frames import picture_stream, start_of
from avbench.media.reading import open_file, read_info
from avbench.media.sound import sound_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

KIND = "audit 2"  # a new number where what is measured changes
Facts = dict[str, Any]


def file_facts(path: Path) -> Facts:
    """Return plain values by name; nan and None where a stream is missing.

    Raises MediaError: `missing_file`, `unreadable`.
    """
    with open_file(path) as container:
        info = read_info(container)
        facts: Facts = {
            "bytes": info.bytes,
            "seconds": info.duration,
            "header_seconds": info.told,
            "claims_too_much": info.claims_too_much,
            "recordings": info.recordings,
            "unread": info.unread,
            "streams": max(info.video_choice[1], info.audio_choice[1]),
            "fps": info.fps,
            "frames": info.frames,
            "has_video": info.has_video,
            "has_audio": info.has_audio,
            "container": f"{container.format.name}, written by {container.metadata.get('encoder', 'unknown')}",
            "file_kbps": info.bytes / 125 / info.duration if info.duration else None,
        }
        facts |= _streams(container)
    facts["file_hash"] = sha256(path, at_block=begin_file)
    with open_file(path) as container:
        facts |= sound_facts(container)
    with open_file(path) as container:
        facts |= picture_facts(container)
    return facts


def _streams(container: InputContainer) -> Facts:
    """Return what the packets of the first pictures and the first sound say; the container must be fresh."""
    video, audio = picture_stream(container), sound_stream(container)
    facts: Facts = {}
    if video is not None:
        facts |= {
            "width": video.width,
            "height": video.height,
            "pixels": video.width * video.height,
            "resolution": f"{video.width}x{video.height}",
            "video_codec": f"{video.codec_context.name} {video.profile or ''} {video.pix_fmt}".replace("  ", " "),
        }
    if audio is not None:
        facts |= {
            "sample_rate": audio.rate,
            "channels": audio.channels,
            "audio_codec": f"{audio.codec_context.name} {audio.profile or ''}".strip(),
        }
    named: dict[str, Stream] = {n: s for n, s in (("video", video), ("audio", audio)) if s is not None}
    sizes: dict[str, list[int]] = defaultdict(list)
    hashes, keys = {name: hashlib.sha256() for name in named}, 0
    ends: dict[str, float] = {}
    damage = Damage(video) if video is not None else None
    names = {stream.index: name for name, stream in named.items()}
    for packet in _packets(container, list(named.values())):
        name = names[packet.stream.index]
        sizes[name].append(packet.size)
        hashes[name].update(bytes(packet))
        keys += packet.is_keyframe and name == "video"
        if damage is not None and name == "video":
            damage.note(packet)
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            ends[name] = max(ends.get(name, 0.0), end)
    for name, stream in named.items():
        if not sizes[name]:
            continue
        size = np.array(sizes[name], np.float64)
        seconds = ends.get(name, 0.0) - start_of(stream)
        facts[f"{name}_kbps"] = float(size.sum()) / 125 / seconds if seconds > 0 else None
        facts[f"{name}_packet_spread"] = log10(float(size.std() / size.mean()) + 1e-3)
        facts[f"{name}_hash"] = hashes[name].hexdigest()
        facts[f"{name}_seconds"] = seconds
    if damage is not None:
        facts["damaged"] = damage.share
    if sizes["video"]:
        facts["key_frames"] = keys / len(sizes["video"])
    if video is not None and audio is not None:
        facts["sound_starts"] = start_of(audio) - start_of(video)
    return facts


def _packets(container: InputContainer, streams: list[Stream]) -> Iterator[av.Packet]:
    """Yield the packets of streams up to where the file is cut off."""
    try:
        for packet in container.demux(streams):
            begin_file()  # however long the film is
            if packet.size:
                yield packet
    except MemoryError:
        raise
    except av.FFmpegError:
        return
