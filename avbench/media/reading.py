"""Opens a media file and tells what it holds: how long it is, at what rate, and which of its streams are taken.

PyAV knows each frame's presentation time, edit lists and display matrix, so that pictures and sound share one clock
whose zero is the video stream's first presentation time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import av

from avbench.media.frames import picture_stream, picture_streams, start_of
from avbench.media.sound import sound_stream, sound_streams
from avbench.media.timeline import AGREE, INDEXED, timeline_of
from avbench.types import MediaError, MediaInfo, Reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

# No file holds a second in fewer bytes: silence costs codecs for speech ten times as many.
LEAST_BYTES_A_SECOND = 8
# Pictures further apart (seconds) are no film: a frame rate is damaged.
FARTHEST_PICTURES = 60
INDEX_BYTES = 10_000  # what indices and tags of small files take
# Their containers tell no length; what FFmpeg says is its guess from the size or the last packets.
HEADERLESS = ("mpegts", "mpeg", "aac", "ac3", "eac3", "h264", "hevc", "m4v", "mpegvideo")


# What names other files instead of holding pictures or sound: following it would read what nobody listed.
PLAYLISTS = {"concat", "hls", "dash", "sdp", "rtsp", "imf", "applehttp"}


def address(path: Path) -> str:
    """Return what FFmpeg opens as this very file, whatever its name looks like: a protocol, an option, a scheme."""
    return f"file:{os.path.abspath(path)}"


def probe(path: Path) -> MediaInfo:
    """Return what a file holds, without decoding; its packets are read where its header cannot be trusted.

    Call it in a worker: a broken file may hang or end the process. Raises MediaError: `missing_file`, `unreadable`.
    """
    with open_file(path) as container:
        return read_info(container)


def open_file(path: Path) -> InputContainer:
    """Open a file; MediaError `missing_file` or `unreadable` where that fails, and for a list of other files."""
    if "\0" in str(path):  # FFmpeg would open what stands before it
        raise MediaError(Reason.UNREADABLE, f"{path!s:.200}: a file name cannot hold NUL")
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe blocks whoever opens it
            raise MediaError(Reason.UNREADABLE, f"{path}: not a regular file")
        container: InputContainer = av.open(
            address(path), options={"protocol_whitelist": "file"}, metadata_errors="replace"
        )
    except FileNotFoundError as error:
        raise MediaError(Reason.MISSING_FILE, f"{path}: no such file") from error
    except (OSError, av.FFmpegError) as error:
        raise MediaError(Reason.UNREADABLE, f"{path}: {error.strerror}") from error
    if container.format.name in PLAYLISTS:
        container.close()
        raise MediaError(Reason.UNREADABLE, f"{path}: a list of other files ({container.format.name}), not a recording")
    return container


def read_info(container: InputContainer) -> MediaInfo:
    """Return what a file holds; MediaError `unreadable` where it names nothing that can be decoded."""
    video, audio = picture_stream(container), sound_stream(container)
    main = video or audio
    if main is None:
        raise MediaError(Reason.UNREADABLE, f"{container.name}: neither pictures nor sound that can be decoded")
    timeline = timeline_of(container)
    told, real = _told(container, main), _real(container, main)
    own = main.duration is not None
    claims_too_much = 0.0
    if told is not None and real is not None:
        # A container speaks of its longest stream.
        claims_too_much = told - (real if own else max(timeline.ends.values()) - start_of(main))
    if real is None or (own and told is not None and abs(told - real) <= AGREE):
        duration = told or 0.0
    else:
        duration = real
    most = max(container.size, 0) / LEAST_BYTES_A_SECOND
    if duration > most:
        claims_too_much, duration = max(claims_too_much, duration - most), most
    fps = float(video.average_rate or 0) if video else 0.0
    if video and 0 < fps * FARTHEST_PICTURES < 1 and timeline.packets.get(video.index, 0) > 1:
        apart = f"its pictures would be {1 / fps:.0f} s apart: its frame rate is damaged"
        raise MediaError(Reason.UNREADABLE, f"{container.name}: {apart}")
    frames = _frames(container, video) or round(duration * fps) if video else 0
    return MediaInfo(
        duration=max(duration, 0.0),
        fps=fps,
        frames=frames,
        has_video=video is not None,
        has_audio=audio is not None,
        bytes=container.size,
        told=told,
        claims_too_much=claims_too_much if abs(claims_too_much) > AGREE else 0.0,
        recordings=timeline.recordings,
        unread=_unread(timeline.reach, container.size),
        video_choice=_choice(video, picture_streams(container)),
        audio_choice=_choice(audio, sound_streams(container)),
    )


def _frames(container: InputContainer, video: VideoStream) -> int:
    """Return how many frames a stream has; 0 where only its length tells. The header of a fragmented MP4 counts few."""
    counted = timeline_of(container).packets.get(video.index)
    return counted or (len(video.index_entries) if container.format.name == INDEXED else 0) or video.frames


def _unread(reach: int, size: int) -> float:
    """Return the share of a file behind its last packet; 0 where that is no more than an index and tags."""
    return (size - reach) / size if reach and size - reach > INDEX_BYTES else 0.0


def _told(container: InputContainer, main: Stream) -> float | None:
    """Return the seconds that a header tells of a stream, or else of the container; None where it tells nothing."""
    if container.format.name in HEADERLESS:
        return None
    if main.duration is not None and main.time_base is not None:
        return float(main.duration * main.time_base)
    return container.duration / av.time_base if container.duration else None


def _real(container: InputContainer, main: Stream) -> float | None:
    """Return the seconds that the packets of a stream last; None where they were not read, or are none."""
    end = timeline_of(container).ends.get(main.index)
    return None if end is None else end - start_of(main)


def _choice(chosen: Stream | None, among: Sequence[Stream]) -> tuple[int, int]:
    return (0 if chosen is None else among.index(chosen) + 1, len(among))
