"""Opens a media file and reads its header.

PyAV knows each frame's presentation time, edit lists and display matrix, so that pictures and sound share one clock
whose zero is the video stream's first presentation time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import av

from avbench.media.frames import picture_stream
from avbench.media.sound import sound_stream
from avbench.types import MediaError, MediaInfo, Reason

if TYPE_CHECKING:
    from av.container import InputContainer


# What names other files instead of holding pictures or sound: following it would read what nobody listed.
PLAYLISTS = {"concat", "hls", "dash", "sdp", "rtsp", "imf", "applehttp"}


def address(path: Path) -> str:
    """Return what FFmpeg opens as this very file, whatever its name looks like: a protocol, an option, a scheme."""
    return f"file:{os.path.abspath(path)}"


def probe(path: Path) -> MediaInfo:
    """Read the header of a file, without decoding.

    Raises MediaError: `missing_file`, `unreadable`.
    """
    with open_file(path) as container:
        return read_info(container)


def open_file(path: Path) -> InputContainer:
    """Open a file; MediaError `missing_file` or `unreadable` where that fails, and for a list of other files."""
    if "\0" in str(path):  # FFmpeg would open what stands before it
        raise MediaError(Reason.UNREADABLE, f"{path!s:.200}: a file name cannot hold NUL")
    try:
        container: InputContainer = av.open(address(path), options={"protocol_whitelist": "file"})
    except FileNotFoundError as error:
        raise MediaError(Reason.MISSING_FILE, f"{path}: no such file") from error
    except (OSError, av.FFmpegError) as error:
        raise MediaError(Reason.UNREADABLE, f"{path}: {error.strerror}") from error
    if container.format.name in PLAYLISTS:
        container.close()
        raise MediaError(Reason.UNREADABLE, f"{path}: a list of other files ({container.format.name}), not a recording")
    return container


def read_info(container: InputContainer) -> MediaInfo:
    """Return what the header says; MediaError `unreadable` where it names nothing that can be decoded."""
    video, audio = picture_stream(container), sound_stream(container)
    main = video or audio
    if main is None:
        raise MediaError(Reason.UNREADABLE, f"{container.name}: neither pictures nor sound that can be decoded")
    if main.duration is not None and main.time_base is not None:
        duration = float(main.duration * main.time_base)
    else:  # WebM keeps no duration by stream
        duration = (container.duration or 0) / av.time_base
    fps = float(video.average_rate or 0) if video else 0.0
    frames = (video.frames or round(duration * fps)) if video else 0
    return MediaInfo(duration, fps, frames, video is not None, audio is not None, container.size)
